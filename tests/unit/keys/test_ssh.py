"""SSH keys: derived, and in a format that OpenSSH and the library read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.secret import Secret

SEED = RootSeed(Secret(bytes(range(32))))


def test_keys_have_the_same_bytes_on_every_machine() -> None:
    key = host_key(SEED, "demo", 1, "demo1")
    assert key.public == (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPSyDydCwf7zmwP1JR6cw1C6vbXX/H13Ug1MBIMsOCqm demo1"
    )
    assert key == host_key(SEED, "demo", 1, "demo1")
    assert client_key(SEED).public.endswith(" plexctl-f262bbb0")


def test_each_lab_plex_epoch_and_node_has_its_own_key() -> None:
    keys = {
        host_key(SEED, "demo", 1, "demo1").public.split()[1],
        host_key(SEED, "demo", 1, "demo2").public.split()[1],
        host_key(SEED, "demo", 2, "demo1").public.split()[1],
        host_key(SEED, "test", 1, "demo1").public.split()[1],
        host_key(RootSeed(Secret(bytes(32))), "demo", 1, "demo1").public.split()[1],
        client_key(SEED).public.split()[1],
    }
    assert len(keys) == 6


@pytest.mark.parametrize("length", range(1, 9))
def test_the_library_reads_a_key_with_any_padding(length: int) -> None:
    key = host_key(SEED, "demo", 1, "n" * length)
    public = load_ssh_private_key(key.private.reveal(), None).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert key.public == f"{line} {'n' * length}"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
@pytest.mark.parametrize("node", ["a1", "demo1", "quite-long12"])
def test_openssh_reads_a_key(tmp_path: Path, node: str) -> None:
    key = host_key(SEED, "demo", 1, node)
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(key.private.reveal())
    read = subprocess.run(
        ["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True
    )
    assert read.stdout.strip() == key.public


def test_a_private_key_is_hidden_in_text() -> None:
    assert "OPENSSH" not in repr(client_key(SEED))
