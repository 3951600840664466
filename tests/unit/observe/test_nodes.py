"""Details that nodes have recorded: a recorded answer, other boots, wrong clocks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.observe.nodes import (
    SCRIPT,
    NodeDetails,
    from_json,
    of_this_boot,
    parse,
    read,
    to_json,
    with_details,
)
from plexctl.observe.timeline import Instant, NodeLine, timeline
from tests.journals import journal

RECORDED = (Path(__file__).parent / "recorded" / "inside.txt").read_text()
BEGAN = datetime(2026, 11, 21, 15, 48, 55, 542666, tzinfo=UTC).timestamp()
NOW = 1795276880.320542299
"""The node's clock in the recorded answer."""


def recorded(offset: float = 0.0, took: float = 0.4) -> NodeDetails:
    asked = NOW - offset - took / 2
    return parse(RECORDED, BEGAN, asked, asked + took)


def test_a_recorded_answer() -> None:
    inside = recorded()

    assert inside.instants == {
        "init": 1.724,
        "booted": 1.94,
        "containerd": 2.297,
        "kubelet": 2.301,
        "kubeadm": 10.313,
        "rbac": 8.317,
    }
    assert [one.name for one in inside.containers] == [
        "kube-scheduler",
        "kube-apiserver",
        "kube-controller-manager",
        "etcd",
        "kube-proxy",
        "coredns",
    ]
    assert inside.containers[3].pod == "kube-system/etcd-tline1"
    assert inside.containers[3].at == 4.429


def test_a_wrong_clock_is_corrected_and_a_slow_answer_is_not() -> None:
    assert recorded(offset=0.1).instants == recorded().instants
    assert recorded(offset=-3600).instants["init"] == 1.724 + 3600


def test_a_worker_has_no_kubeadm_and_a_container_starts_with_its_first_log() -> None:
    pod = "/var/log/pods/kube-system_kube-proxy-x_0aa-1/kube-proxy"
    text = "\n".join(
        [
            "now=1001",
            "unit=plex-node",
            "ActiveEnterTimestamp=",
            "ActiveExitTimestamp=",
            "kubeadm=",
            f"log=1970-01-01 00:16:44.5 +0000 {pod}/1.log",
            f"log=1970-01-01 00:16:43.25 +0000 {pod}/0.log",
            "log=- /var/log/pods/a_b_c/d/0.log",
        ]
    )
    inside = parse(text, 1000, 1001, 1001)

    assert inside.instants == {}
    assert [(one.name, one.at) for one in inside.containers] == [("kube-proxy", 3.25)]


def test_a_restarted_node_is_left_out() -> None:
    node = NodeLine("a1", "", "create", (Instant("started", 2.0),))

    assert of_this_boot(node, NodeDetails({"init": 900.0}), 20.0) == "a1: restarted since"
    assert "does not report" in str(of_this_boot(node, NodeDetails(), 20.0))
    kept = of_this_boot(
        node, NodeDetails({"init": 1.8, "kubelet": 3.0, "containerd": 9000.0}), 20.0
    )
    assert kept == NodeDetails({"init": 1.8, "kubelet": 3.0})


@dataclass
class Host:
    """Answers as the recorded node does, or not at all."""

    answer: str | None = RECORDED
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, name: str, argv: tuple[str, ...]) -> CommandResult:
        assert argv == ("sh", "-c", SCRIPT)
        with self.lock:
            self.asked.append(name)
        if self.answer is None:
            raise PlexError("the host has gone")
        return CommandResult(argv, 0, self.answer, "")


def test_each_node_is_read_once_and_a_failure_is_a_note() -> None:
    line = timeline("20261121T154855.542666-up-big", journal(16))
    line = replace(line, began="2026-11-21T15:48:55.542666+00:00")
    good, bad = Host(), Host(None)
    names = [node.name for node in line.nodes[:12]]
    details, notes = read(line, {**dict.fromkeys(names, good), "big17": bad}, clock=lambda: NOW)

    assert sorted(good.asked) == sorted(names)
    assert sorted(details) == sorted(names)
    assert notes == ("big17: the host has gone",)

    again = from_json(to_json(details))
    assert again == details
    whole = with_details(line, again)
    assert whole.details
    assert whole.nodes[0].at("booted") == 1.94
    assert whole.nodes[0].at("created") == line.nodes[0].at("created")
    assert len(whole.nodes[0].containers) == 6
    assert whole.nodes[16] == line.nodes[16]
