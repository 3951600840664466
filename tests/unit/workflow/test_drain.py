"""All workers are drained, or none of them stays cordoned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from plexctl.clients.kube.client import Kube, NodeStatus, Pod
from plexctl.errors import Interrupted, PlexError, UsageError
from plexctl.workflow.plex import drain as draining
from plexctl.workflow.plex.drain import drain, refuse_to_lose_pods
from tests.null_reporter import NullReporter


@dataclass
class Cluster:
    """Two workers with a pod each; a disruption budget holds the pod `held`."""

    held: str = ""
    on: dict[str, str] = field(default_factory=lambda: {"demo2": "red", "demo3": "blue"})
    cordoned: set[str] = field(default_factory=set)
    controller: str = "ReplicaSet"

    def cordon(self, name: str) -> bool:
        self.cordoned.add(name)
        return name in ("demo2", "demo3")

    def uncordon(self, name: str) -> bool:
        self.cordoned.discard(name)
        return name in ("demo2", "demo3")

    def pods(self, *, node: str) -> tuple[Pod, ...]:
        here = (pod for place, pod in self.on.items() if place == node)
        return tuple(Pod("default", pod, node, "Running", True, self.controller) for pod in here)

    def evict(self, pod: Pod) -> bool:
        if pod.name == self.held:
            return False
        self.on = {place: name for place, name in self.on.items() if name != pod.name}
        return True


def node(name: str, *, unschedulable: bool = False, draining: bool = False) -> NodeStatus:
    return NodeStatus(name, True, "", "v1.36.3", (), unschedulable, draining)


WORKERS = (node("demo2"), node("demo3"))


class ProgressRecorder(NullReporter):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def progress(self, text: str, done: float | None = None) -> None:
        self.texts.append(text)


def test_workers_are_drained_one_after_another() -> None:
    cluster, step = Cluster(), ProgressRecorder()

    drain(cast(Kube, cluster), WORKERS, step)

    assert (cluster.on, cluster.cordoned) == ({}, {"demo2", "demo3"})
    assert step.texts == ["drain demo2", "drain demo3"]


def test_pods_that_nothing_recreates_are_named_and_nothing_is_cordoned() -> None:
    cluster = Cluster(controller="")

    with pytest.raises(UsageError, match=r"refusing to drain demo2, demo3 without -y") as error:
        refuse_to_lose_pods(cast(Kube, cluster), WORKERS)

    assert error.value.details == ("they would be deleted: default/red, default/blue",)
    assert not cluster.cordoned


@pytest.mark.parametrize("controller", ["ReplicaSet", "Job", "DaemonSet", "Node"])
def test_pods_of_controllers_are_not_lost(controller: str) -> None:
    refuse_to_lose_pods(cast(Kube, Cluster(controller=controller)), WORKERS)


def test_if_one_worker_cannot_be_drained_all_are_uncordoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "DEADLINE", 0.6)
    cluster = Cluster(held="blue")

    with pytest.raises(PlexError, match="until demo3 is drained") as error:
        drain(cast(Kube, cluster), WORKERS, ProgressRecorder())

    assert "default/blue" in " ".join(error.value.details)
    assert cluster.cordoned == set()


def test_an_interrupted_drain_uncordons_all_workers() -> None:
    class Interrupting(Cluster):
        def evict(self, pod: Pod) -> bool:
            raise Interrupted

    cluster = Interrupting()
    with pytest.raises(Interrupted):
        drain(cast(Kube, cluster), WORKERS, ProgressRecorder())
    assert cluster.cordoned == set()


@pytest.mark.parametrize("held", ["red", "blue"])
def test_a_node_that_somebody_else_has_cordoned_stays_cordoned(
    monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setattr(draining, "DEADLINE", 0.6)
    cluster = Cluster(held=held, cordoned={"demo2"})

    with pytest.raises(PlexError, match="is drained"):
        drain(
            cast(Kube, cluster),
            [node("demo2", unschedulable=True), node("demo3")],
            ProgressRecorder(),
        )

    assert cluster.cordoned == {"demo2"}


def test_a_node_that_an_interrupted_run_has_cordoned_is_uncordoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "DEADLINE", 0.6)
    cluster = Cluster(held="red", cordoned={"demo2"})

    with pytest.raises(PlexError, match="until demo2 is drained"):
        drain(
            cast(Kube, cluster),
            [node("demo2", unschedulable=True, draining=True)],
            ProgressRecorder(),
        )

    assert cluster.cordoned == set()
