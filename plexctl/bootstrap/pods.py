"""The pods of a cluster that was away for a while: the API has their old states at first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plexctl.bootstrap.wait import unless_unreachable
from plexctl.clients.kube.client import Kube, time_of
from plexctl.model.condition import Condition, Observation

DEADLINE = 120.0
PODS = "/api/v1/pods"


@dataclass(slots=True)
class ReturningPods:
    """The pods that the API reports as Ready at the first look, until they are Ready again.

    `since` are the times at which nodes were started. Pods that are deleted, and static pods, are
    not waited for: nothing waits for the readiness of the latter when a cluster is created either.
    """

    kube: Kube
    since: Mapping[str, datetime]
    _awaited: set[str] | None = None  # identifiers
    _left: list[str] = field(default_factory=list)

    def condition(self, plex: str) -> Condition:
        return Condition(
            f"the pods of {plex} are Ready again",
            probe=unless_unreachable(self._look),
            deadline=DEADLINE,
            every=0.25,
        )

    @property
    def left(self) -> tuple[str, ...]:
        """Names of the pods that were not Ready at the last look."""
        return tuple(self._left)

    def _look(self) -> Observation:
        found = {pod["metadata"]["uid"]: pod for pod in self._pods()}
        if self._awaited is None:
            self._awaited = {uid for uid, pod in found.items() if _is_ready(pod)}
        late = [
            pod
            for uid, pod in found.items()
            if uid in self._awaited and not (_is_ready(pod) and self._is_current(pod))
        ]
        self._left = sorted(
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in late
        )
        return Observation(not late, f"not Ready: {', '.join(self._left[:4])}")

    def _pods(self) -> Iterator[dict[str, Any]]:
        for pod in (self.kube.read(PODS) or {}).get("items", ()):
            owners = pod["metadata"].get("ownerReferences", ())
            if pod["metadata"].get("deletionTimestamp") is None and not any(
                owner["kind"] == "Node" for owner in owners
            ):
                yield pod

    def _is_current(self, pod: dict[str, Any]) -> bool:
        """Whether all containers of a pod have started since its node was."""
        began = self.since.get(pod["spec"].get("nodeName", ""))
        if began is None:
            return True
        running = (one["state"].get("running") for one in _containers(pod))
        starts = [time_of(one["startedAt"]) for one in running if one]
        return all(start and start >= began.replace(microsecond=0) for start in starts)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return list(pod["status"].get("containerStatuses", ()))
