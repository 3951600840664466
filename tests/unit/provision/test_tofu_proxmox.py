"""What OpenTofu is told of VMs on Proxmox hosts that are there already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.proxmox import ProxmoxProvider, Server
from tests.fake_pve import FakePve
from tests.proxmox import client_of

from .test_proxmox import vm


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.01) as fake:
        yield fake


def test_one_that_went_meanwhile_is_told(pve: FakePve) -> None:
    """The states were read before: it was there then."""
    client = client_of(pve)
    server = Server(Path("/nowhere.pem"), lambda: Secret(b""))
    direct = DirectEngine({"pve1": client})
    provider = ProxmoxProvider("demo", {"pve1": client.spec}, server, direct)
    with pytest.raises(PlexError, match="demo1 on host pve1 has gone") as error:
        provider.imports((vm(1),), {}, frozenset())
    assert error.value.hint == "run it again"
