"""What a wait that ends too late says about a node."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.bootstrap.wait import REPORT, ClusterConditions
from plexctl.clients.kube.client import NodeStatus
from plexctl.model.command import CommandResult
from plexctl.model.condition import Observation
from plexctl.model.kinds import Cni
from plexctl.model.nodes import nodes
from tests.null_reporter import NullReporter

from ..model.test_nodes import DEMO

KUBELET = """\
I1130 06:43:50.1 58 server.go:1] "Kubelet version"
E1130 06:43:50.2 58 run.go:72] "command failed" err="unrecognized feature gate: Bogus"
W1130 06:43:50.3 58 fs.go:649] stat failed on /dev/loop0 with error: no such file
W1130 06:43:50.4 58 fs.go:649] stat failed on /dev/loop0 with error: no such file
W1130 06:43:50.5 58 fs.go:649] stat failed on /dev/loop0 with error: no such file
W1130 06:43:50.6 58 fs.go:649] stat failed on /dev/loop0 with error: no such file
"""


@pytest.fixture
def report(tmp_path: Path) -> list[str]:
    """Of a node whose kubelet restarts, and whose master was never completed."""
    programs = {
        "systemctl": """case $2 in
            plex-boot|containerd) echo active;; kubelet) echo activating;; *) echo failed;; esac""",
        "journalctl": f"""case $1 in
            _SYSTEMD_UNIT=kubelet.service) cat {tmp_path}/kubelet;;
            _SYSTEMD_UNIT=plex-node.service) printf '%s\\n' a b c d e;;
            *) echo "nobody asked for $1"; exit 1;; esac""",
    }
    (tmp_path / "kubelet").write_text(KUBELET)
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", REPORT],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_errors_of_a_unit_that_restarts_are_shown(report: list[str]) -> None:
    """The four last lines were warnings, or lines of systemd."""
    assert report == [
        "plex-boot is active",
        "containerd is active",
        "kubelet is activating",
        KUBELET.splitlines()[1],
        "plex-node is failed",
        *"bcde",
    ]


def test_a_node_that_has_not_reported_since_it_was_started_is_the_late_one() -> None:
    """The API still calls it Ready, as it was before."""
    started = datetime(2026, 11, 30, 9, tzinfo=UTC)
    first, second = nodes(DEMO)[:2]
    renewed = {second.name: started - timedelta(days=30)}
    statuses = [
        NodeStatus(node.name, True, "", "v1", (), False, reported=started + late)
        for node, late in ((first, timedelta(seconds=5)), (second, -timedelta(days=30)))
    ]
    conditions = ClusterConditions(
        DEMO,
        (first, second),
        cast(Any, SimpleNamespace(nodes=lambda: tuple(statuses), renewals=lambda: renewed)),
        cast(Any, {first.host: SimpleNamespace(execute=_report)}),
        NullReporter(),
        since={node.name: started for node in (first, second)},
    )
    condition = conditions.nodes_ready()
    assert condition.explain() == (f"{second.name}: kubelet of {second.name} is active",)
    assert callable(condition.hint)
    assert f"plexctl logs {second.name}" in str(condition.hint())
    assert not condition.probe().holds

    renewed[second.name] = started + timedelta(seconds=1)
    assert condition.probe().holds, "its kubelet runs, and will report only later"


def _report(name: str, argv: tuple[str, ...]) -> CommandResult:
    return CommandResult(argv, 0, f"kubelet of {name} is active\n", "")


@dataclass
class Registered:
    """An API whose nodes have no network for pods yet."""

    names: tuple[str, ...]

    def nodes(self) -> list[NodeStatus]:
        return [
            NodeStatus(name, False, "network not ready", "v1", (), False) for name in self.names
        ]


def test_nodes_without_a_plugin_are_complete_once_they_are_registered() -> None:
    def observed(cni: Cni, *names: str) -> Observation:
        kube = cast(Any, Registered(names))
        plex = replace(DEMO, cni=cni)
        conditions = ClusterConditions(plex, nodes(plex), kube, {}, NullReporter())
        return conditions.nodes_ready().probe()

    every = [node.name for node in nodes(DEMO)]
    assert observed(Cni.NONE, *every).holds
    assert not observed(Cni.STATIC, *every).holds
    late = observed(Cni.NONE, *every[:-1])
    assert (late.holds, late.what) == (False, f"{every[-1]} is not registered")
