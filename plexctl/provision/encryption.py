"""OpenTofu's state, encrypted with a key of the lab's seed that is in no argument and no file."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plexctl.model.files import write_atomic, write_private
from plexctl.model.secret import Secret

Key = Secret
"""32 bytes."""

FILE = "encryption.tf.json"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, for nobody else to read

HEADER = {"magic": "OpenTofu-External-Key-Provider", "version": 1}

SHOW = 'cat -- "$0"; exec cat >/dev/null'
"""The program that OpenTofu asks for the key. What it is asked has no meaning here."""


@contextmanager
def encrypted(folder: Path, key: Key, program: Path) -> Iterator[None]:
    """Meanwhile OpenTofu in `folder` can read and write its state, and nobody can later.

    Terraform knows no encryption; no secret is in its state either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if program.name == "terraform":
        (folder / FILE).unlink(missing_ok=True)
        yield
        return
    place = tempfile.mkdtemp(prefix="plexctl-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    try:
        shown = Path(place) / "key"
        write_private(shown, _answer(key))
        write_atomic(folder / FILE, (json.dumps(_settings(shown), indent=2) + "\n").encode())
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _answer(key: Key) -> bytes:
    encoded = base64.b64encode(key.reveal()).decode()
    content = {
        "keys": {"encryption_key": encoded, "decryption_key": encoded},
        "meta": {"external_data": {}},
    }
    return (json.dumps(HEADER) + "\n" + json.dumps(content) + "\n").encode()


def _settings(shown: Path) -> dict[str, object]:
    method = {"method": "method.aes_gcm.lab", "enforced": True}
    return {
        "terraform": {
            "encryption": {
                "key_provider": {"external": {"lab": {"command": ["sh", "-c", SHOW, str(shown)]}}},
                "method": {"aes_gcm": {"lab": {"keys": "${key_provider.external.lab}"}}},
                "state": method,
                "plan": method,
            }
        }
    }
