"""Workers leave their cluster all together, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from plexctl.clients.kube.client import Kube, Pod
from plexctl.errors import PlexError
from plexctl.workflow.plex import drain as draining
from plexctl.workflow.plex.drain import drain
from tests.null_reporter import NullReporter


@dataclass
class Cluster:
    """Two workers with a pod each; `held` is one that a disruption budget does not let go."""

    held: str = ""
    on: dict[str, str] = field(default_factory=lambda: {"demo2": "red", "demo3": "blue"})
    closed: set[str] = field(default_factory=set)

    def cordon(self, name: str, *, closed: bool = True) -> bool:
        self.closed = self.closed | {name} if closed else self.closed - {name}
        return name in ("demo2", "demo3")

    def pods(self, *, node: str) -> tuple[Pod, ...]:
        here = (pod for place, pod in self.on.items() if place == node)
        return tuple(Pod("default", pod, node, "Running", True, "ReplicaSet") for pod in here)

    def evict(self, pod: Pod) -> bool:
        if pod.name == self.held:
            return False
        self.on = {place: name for place, name in self.on.items() if name != pod.name}
        return True


class Told(NullReporter):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def progress(self, text: str, done: float | None = None) -> None:
        self.texts.append(text)


def test_all_are_emptied_one_after_another() -> None:
    cluster, step = Cluster(), Told()

    drain(cast(Kube, cluster), ["demo2", "demo3"], step)

    assert (cluster.on, cluster.closed) == ({}, {"demo2", "demo3"})
    assert step.texts == ["draining demo2", "draining demo3"]


def test_where_one_cannot_be_emptied_all_take_pods_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DEADLINE", 0.6)
    cluster = Cluster(held="blue")

    with pytest.raises(PlexError, match="demo3 is drained") as error:
        drain(cast(Kube, cluster), ["demo2", "demo3"], Told())

    assert "default/blue" in " ".join(error.value.details)
    assert cluster.closed == set()
