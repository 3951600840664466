"""Snapshots as Incus 6.0.4 describes them: recorded answers, shortened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from plexctl.clients.incus.snapshots import observed_snapshot
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import UsageError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.model.snapshots import SnapshotName, plex_snapshots

RECORDED: dict[str, Any] = {
    "architecture": "x86_64",
    "config": {
        "image.plexctl.recipe": "plex-kube-138f7c7eca5c",
        "limits.cpu.allowance": "100%",
        "user.plex.hash": "859e8d6a3486785c",
        "user.plex.lab": "d055d278f934aee0a3b74b3072f49b2b",
        "user.plex.plex": "snap",
        "user.plex.run": "20261130T092721.229548-up-snap",
        "volatile.last_state.power": "RUNNING",
    },
    "created_at": "2026-11-30T09:27:54.612575479Z",
    "ephemeral": False,
    "expires_at": "0001-01-01T00:00:00Z",
    "name": "plex3-before",
    "size": -1,
    "stateful": False,
}


def test_a_snapshot_has_the_tags_of_its_instance_and_a_size_if_the_storage_says_it() -> None:
    found = observed_snapshot("snap1", RECORDED)
    assert found is not None
    assert found.id == SnapshotName("before", 3)
    assert found.created == datetime(2026, 11, 30, 9, 27, 54, 612575, tzinfo=UTC)
    assert found.size is None
    assert found.tags["run"] == "20261130T092721.229548-up-snap"
    assert "last_state.power" not in found.tags
    known = observed_snapshot("snap1", {**RECORDED, "size": 5 << 20, "name": "snap1/plex3-before"})
    assert known is not None
    assert (known.size, known.id) == (5 << 20, found.id)


@pytest.mark.parametrize("name", ["before", "plex-before", "plex3-", "plex3-A", "plex0-a", "snap0"])
def test_snapshots_with_other_names_are_not_plexctls(name: str) -> None:
    assert observed_snapshot("snap1", {**RECORDED, "name": name}) is None


def test_snapshots_of_one_name_and_different_numbers_of_nodes_are_different_ones() -> None:
    parts = [
        part
        for instance, name in (("a1", "plex2-x"), ("a2", "plex2-x"), ("a1", "plex1-x"))
        if (part := observed_snapshot(instance, {**RECORDED, "name": name}))
    ]
    two, one = sorted(plex_snapshots(parts), key=lambda found: -found.id.nodes)
    assert two.is_complete(["a1", "a2"])
    assert not one.is_complete(["a1", "a2"])
    assert two.gone == one.gone == 0


def test_proxmox_hosts_refuse_with_code_2() -> None:
    spec = HostSpec("pve1", HostKind.PROXMOX, "", "local-lvm", 4)
    host = ProxmoxHost(spec, Secret(b"token"))
    with pytest.raises(UsageError, match="cannot freeze containers"):
        _ = host.snapshots
    with pytest.raises(UsageError, match="refusing to copy disks of pve1"):
        _ = host.disk_copies
