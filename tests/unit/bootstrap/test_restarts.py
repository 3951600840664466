"""A wait ends when a unit of a late node restarts for ever, and asks nothing before it is late."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.bootstrap import restarts
from plexctl.bootstrap.restarts import RESTARTS, Restarts
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import NodeStatus, UnreachableError
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Clock, wait
from plexctl.model.nodes import nodes
from tests.null_reporter import NullReporter

from ..model.test_nodes import DEMO

NODES = nodes(DEMO)
FAILED = (
    'E1130 06:43:{}.2 {} run.go:72] "command failed" err="failed to load kubelet config file, '
    'error: json: cannot unmarshal string into maxPods of type int32"'
)


@dataclass
class Host:
    """Its nodes answer scripts; units of `loops` restart once in 1.5 seconds."""

    loops: dict[str, str] = field(default_factory=dict)  # node -> unit
    ends: float = 1e9  # when they stop to do so
    time: float = 0.0
    calls: list[tuple[float, str]] = field(default_factory=list)
    absent: bool = False

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        self.calls.append((self.time, name))
        if self.absent:
            raise PlexError("the instance is not running")
        if argv[-1] == RESTARTS:
            count = int(min(self.time, self.ends) / 1.5)
            said = [
                f"{unit} {count if self.loops.get(name) == unit else 0}" for unit in restarts.UNITS
            ]
        else:
            assert argv[-1].endswith(f"last_errors {self.loops[name]}")
            said = [FAILED.format(50, 58), FAILED.format(51, 63)]
        return CommandResult(argv, 0, "\n".join(said), "")

    def clock(self) -> Clock:
        def sleep(seconds: float) -> None:
            self.time += seconds

        return Clock(lambda: self.time, sleep)


@dataclass
class Api:
    """Nodes are registered and Ready from an instant on; without `answers` it does not answer."""

    host: Host
    ready: dict[str, float]
    answers: bool = True

    def nodes(self) -> list[NodeStatus]:
        if not self.answers:
            raise UnreachableError("the API does not answer")
        at = self.host.time
        return [
            NodeStatus(n, True, "", "v1", (), False)
            for n, since in self.ready.items()
            if at >= since
        ]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    class Timed(Restarts):
        def __init__(self, hosts: Any, hint: Any) -> None:
            super().__init__(hosts, hint, lambda: host.time)

    monkeypatch.setattr("plexctl.bootstrap.wait.Restarts", Timed)


def conditions(host: Host, api: Api) -> ClusterConditions:
    hosts = {node.host: host for node in NODES}
    return ClusterConditions(DEMO, NODES, cast(Any, api), cast(Any, hosts), NullReporter())


def test_a_unit_that_restarts_for_ever_ends_the_wait_with_its_last_error(host: Host) -> None:
    host.loops = {NODES[1].name: "kubelet"}
    api = Api(host, {node.name: 3.0 for node in NODES if node is not NODES[1]})
    with pytest.raises(PlexError) as error:
        wait(conditions(host, api).nodes_ready(), host.clock())

    name = NODES[1].name
    assert error.value.summary == f"kubelet of {name} ends and restarts again and again"
    assert error.value.details == (FAILED.format(51, 63),)
    assert f"plexctl logs {name}" in str(error.value.hint)
    assert host.time < 20


def test_a_master_whose_kubelet_restarts_is_not_waited_for_either(host: Host) -> None:
    host.loops = {NODES[0].name: "kubelet"}
    with pytest.raises(PlexError, match=f"kubelet of {NODES[0].name} ends and restarts again"):
        wait(conditions(host, Api(host, {}, answers=False)).api_answers(), host.clock())
    assert host.time < 20


def test_a_cluster_that_comes_up_in_time_is_not_looked_at(host: Host) -> None:
    """Each of many nodes may be late, if one after another comes."""
    api = Api(host, {node.name: 8.0 * number for number, node in enumerate(NODES)})
    assert len(NODES) > 2
    wait(conditions(host, api).nodes_ready(), host.clock())
    assert host.calls == []


def test_late_nodes_are_looked_at_rarely(host: Host) -> None:
    api = Api(host, {node.name: 50.0 for node in NODES})
    wait(conditions(host, api).nodes_ready(), host.clock())
    assert sorted({round(at) for at, _ in host.calls}) == [10, 20, 30, 40]


def test_a_unit_that_restarts_no_more_is_waited_for(host: Host) -> None:
    """As a kubelet that needed a file which came late."""
    host.loops, host.ends = {NODES[1].name: "kubelet"}, 9.0
    api = Api(host, {node.name: 40.0 for node in NODES})
    wait(conditions(host, api).nodes_ready(), host.clock())


def test_a_node_that_cannot_be_asked_is_waited_for(host: Host) -> None:
    host.absent = True
    wait(conditions(host, Api(host, {n.name: 40.0 for n in NODES})).nodes_ready(), host.clock())
    assert host.calls


def test_counts_are_read_from_systemd(tmp_path: Path) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\n[ "$4" != kubelet ] && echo 0 || echo 17\n')
    systemctl.chmod(0o755)
    words = ["/bin/sh", "-c", RESTARTS]
    done = subprocess.run(words, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["plex-boot 0", "containerd 0", "kubelet 17", "plex-node 0"]
    there = SimpleNamespace(execute=lambda *_: CommandResult((), 0, "kubelet \nx 1 2\ny 3\n", ""))
    assert restarts._restarts(cast(Any, there), NODES[0]) == {"y": 3}
