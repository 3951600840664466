"""The secret of a host's API token is stored encrypted for the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret
from plexctl.workflow.host.tokens import read_host_token, store_host_token, token_file

SEED, OTHER = (RootSeed(Secret(bytes([number]) * 32)) for number in (1, 2))
TOKEN = Secret(b"0f1c3b5a-secret")
HOST = HostSpec(
    "pve1",
    HostKind.PROXMOX,
    "",
    "local-lvm",
    4,
    url="https://10.0.0.7:8006",
    proxmox=Proxmox("pve1", "plexctl@pve!lab"),
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, {"pve1": HOST}, {}, {})


def test_storing_the_same_token_again_changes_nothing(lab: Lab) -> None:
    assert store_host_token(lab, SEED, "pve1", TOKEN)
    before = token_file(lab, "pve1").read_bytes()

    assert read_host_token(lab, SEED, HOST) == TOKEN
    assert not store_host_token(lab, SEED, "pve1", TOKEN)
    assert token_file(lab, "pve1").read_bytes() == before
    assert store_host_token(lab, SEED, "pve1", Secret(b"another"))


def test_nobody_else_can_read_the_file(lab: Lab) -> None:
    store_host_token(lab, SEED, "pve1", TOKEN)
    file = token_file(lab, "pve1")

    assert TOKEN.reveal() not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(PlexError, match="cannot be decrypted"):
        read_host_token(lab, OTHER, HOST)


def test_the_error_for_a_missing_token_says_how_to_store_it(lab: Lab) -> None:
    with pytest.raises(PlexError) as error:
        read_host_token(lab, SEED, HOST)

    assert error.value.summary == "the lab has no secret for the API token of host pve1"
    assert "plexctl host add pve1 https://10.0.0.7:8006 --token" in str(error.value.hint)
