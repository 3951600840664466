"""How an instance of Incus is kept under another name: the calls, in their order."""

from __future__ import annotations

from typing import Any, cast

import pytest

from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.keeper import IncusKeeper
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError, UsageError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kept import KEPT, is_kept, kept_name, original_name, without_kept
from plexctl.model.kinds import HostKind
from plexctl.model.observed import ObservedInstance
from plexctl.model.secret import Secret


class Answer:
    @staticmethod
    def json() -> dict[str, Any]:
        return {"type": "sync"}


class Instance:
    """One instance of the API, which records the calls."""

    def __init__(self, calls: list[tuple[Any, ...]], name: str) -> None:
        self.calls, self.name = calls, name

    def patch(self, json: dict[str, Any]) -> Answer:
        self.calls.append(("patch", self.name, json))
        return Answer()

    def post(self, json: dict[str, Any]) -> Answer:
        self.calls.append(("post", self.name, json))
        return Answer()


class Api:
    def __init__(self, calls: list[tuple[Any, ...]]) -> None:
        self.calls = calls
        self.instances = self

    def __getitem__(self, name: str) -> Instance:
        return Instance(self.calls, name)


class Instances:
    def __init__(self, calls: list[tuple[Any, ...]], said: str = "") -> None:
        self.calls, self.said = calls, said

    def stop(self, name: str) -> None:
        if self.said:
            raise PlexError(self.said)
        self.calls.append(("stop", name))


def keeper(calls: list[tuple[Any, ...]], said: str = "") -> IncusKeeper:
    connection = IncusConnection(HostSpec("local", HostKind.INCUS, "/none", "default", 3))
    connection.__dict__["api"] = Api(calls)
    return IncusKeeper(connection, cast(IncusInstances, Instances(calls, said)))


def test_a_kept_node_has_no_network_since_its_address_is_that_of_the_new_one() -> None:
    calls: list[tuple[Any, ...]] = []
    keeper(calls).keep("demo1", "run")
    tagged = {"config": {"user.plex.kept": "run"}, "devices": {"eth0": {"type": "none"}}}
    assert calls == [
        ("stop", "demo1"),
        ("patch", "demo1", tagged),
        ("post", "demo1", {"name": "demo1-before"}),
    ]


def test_a_node_that_does_not_run_is_kept_all_the_same() -> None:
    calls: list[tuple[Any, ...]] = []
    keeper(calls, "instance demo1 does not stop: The instance is already stopped").keep(
        "demo1", "r"
    )
    assert [call[0] for call in calls] == ["patch", "post"]
    with pytest.raises(PlexError, match="no answer"):
        keeper(calls, "no answer").keep("demo1", "r")


def test_a_node_gets_its_name_back() -> None:
    calls: list[tuple[Any, ...]] = []
    keeper(calls).bring_back("demo1")
    assert calls == [("post", "demo1-before", {"name": "demo1"})]


def test_kept_nodes_are_known_by_their_tag() -> None:
    kept = ObservedInstance("demo1-before", "Stopped", {KEPT: "run"}, True, "", "")
    other = ObservedInstance("demo1", "Running", {}, True, "", "")
    assert is_kept(kept)
    assert without_kept({"a": kept, "b": other}) == {"b": other}
    assert original_name(kept_name("demo1")) == original_name("demo1") == "demo1"


def test_proxmox_hosts_refuse_with_code_2() -> None:
    spec = HostSpec("pve1", HostKind.PROXMOX, "", "local-lvm", 4)
    with pytest.raises(UsageError, match="Proxmox hosts are not supported yet"):
        _ = ProxmoxHost(spec, Secret(b"token")).keeper
