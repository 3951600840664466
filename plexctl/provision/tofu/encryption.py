"""OpenTofu's encrypted state. Its key comes from the lab's seed, and is in no argument or file."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plexctl.clients.tofu import KEY, is_terraform
from plexctl.model.folder import Folder
from plexctl.model.secret import Secret

StateKey = Secret
"""32 bytes."""

FILE = "encryption.tf.json"

HEADER = {"magic": "OpenTofu-External-Key-Provider", "version": 1}

SHOW = f'[ -z "${KEY}" ] && exec "$0" "$@"; cat "/proc/self/fd/${KEY}"; exec cat >/dev/null'
"""The program that OpenTofu runs to get the key: plexctl passes it in a file without a name.

If a user runs OpenTofu, the script runs its arguments instead. The request of OpenTofu on standard
input has no meaning here.
"""


@contextmanager
def encrypted(
    folder: Folder, key: StateKey, program: Path, key_command: Sequence[str]
) -> Iterator[int | None]:
    """Configure the encryption of the state in `folder`; yields the value of `Tofu.key`.

    `key_command` prints `answer(key)` to a user who calls OpenTofu in `folder`. Terraform, which
    has no encryption, yields None; its state has no secret either.
    """
    if is_terraform(program):
        folder.delete(FILE)
        yield None
        return
    settings = json.dumps(_settings(key_command), indent=2) + "\n"
    folder.write_changed(FILE, settings.encode(), 0o600)
    file = os.memfd_create("plexctl")
    try:
        os.write(file, answer(key))
        yield file
    finally:
        os.close(file)


def answer(key: StateKey) -> bytes:
    """The answer of a key provider in OpenTofu's protocol."""
    encoded = base64.b64encode(key.reveal()).decode()
    content = {
        "keys": {"encryption_key": encoded, "decryption_key": encoded},
        "meta": {"external_data": {}},
    }
    return (json.dumps(HEADER) + "\n" + json.dumps(content) + "\n").encode()


def _settings(key_command: Sequence[str]) -> dict[str, object]:
    command = ["sh", "-c", SHOW, *key_command]
    method = {"method": "method.aes_gcm.lab", "enforced": True}
    return {
        "terraform": {
            "encryption": {
                "key_provider": {"external": {"lab": {"command": command}}},
                "method": {"aes_gcm": {"lab": {"keys": "${key_provider.external.lab}"}}},
                "state": method,
                "plan": method,
            }
        }
    }
