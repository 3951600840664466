"""The import of VMs that exist on Proxmox hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.proxmox.provider import ClusterAccess, ProxmoxProvider
from tests.fake_pve import FakePve
from tests.proxmox import client_of

from .test_proxmox import vm


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.01) as fake:
        yield fake


def test_a_vm_that_is_deleted_meanwhile_is_an_error(pve: FakePve) -> None:
    """The states were read before, when the VM existed."""
    client = client_of(pve)
    access = ClusterAccess(Path("/nowhere.pem"), lambda: Secret(b""))
    direct = DirectEngine({"pve1": client})
    provider = ProxmoxProvider("demo", {"pve1": client.spec}, access, direct)
    with pytest.raises(PlexError, match="demo1 on host pve1 was deleted") as error:
        provider.import_blocks((vm(1),), {}, frozenset())
    assert error.value.hint == "run the command again"
