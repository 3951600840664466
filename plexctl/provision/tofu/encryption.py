"""OpenTofu's state, encrypted with a key of the lab's seed that is in no argument and no file."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plexctl.clients.tofu import KEY, is_terraform
from plexctl.model.files import write_changed
from plexctl.model.secret import Secret

Key = Secret
"""32 bytes."""

FILE = "encryption.tf.json"

HEADER = {"magic": "OpenTofu-External-Key-Provider", "version": 1}

SHOW = f'[ -z "${KEY}" ] && exec "$0" "$@"; cat "/proc/self/fd/${KEY}"; exec cat >/dev/null'
"""The program that OpenTofu asks for the key: plexctl has it ready, in a file without a name.

By hand, the words after it are run. What OpenTofu says to it has no meaning here.
"""


@contextmanager
def encrypted(
    folder: Path, key: Key, program: Path, by_hand: Sequence[str]
) -> Iterator[int | None]:
    """Have OpenTofu's state in `folder` encrypted; yields what `Tofu.key` is meanwhile.

    `by_hand` is a command that writes `answer(key)`, for those who call OpenTofu themselves.
    None for Terraform, which knows no encryption; no secret is in its state either.
    """
    if is_terraform(program):
        (folder / FILE).unlink(missing_ok=True)
        yield None
        return
    write_changed(folder / FILE, (json.dumps(_settings(by_hand), indent=2) + "\n").encode(), 0o600)
    file = os.memfd_create("plexctl")
    try:
        os.write(file, answer(key))
        yield file
    finally:
        os.close(file)


def answer(key: Key) -> bytes:
    """What OpenTofu's protocol wants a key provider to write."""
    encoded = base64.b64encode(key.reveal()).decode()
    content = {
        "keys": {"encryption_key": encoded, "decryption_key": encoded},
        "meta": {"external_data": {}},
    }
    return (json.dumps(HEADER) + "\n" + json.dumps(content) + "\n").encode()


def _settings(by_hand: Sequence[str]) -> dict[str, object]:
    command = ["sh", "-c", SHOW, *by_hand]
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
