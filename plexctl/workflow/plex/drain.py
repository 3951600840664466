"""Taking a worker out of its cluster before its machine goes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from plexctl.clients.kube.client import Kube, Pod, UnreachableError
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Step

DEADLINE = 120.0
STAY = ("DaemonSet", "Node")
"""Pods of these belong to the node: they end with it."""


def drain(kube: Kube, nodes: Sequence[str], step: Step) -> None:
    """Drain all of `nodes`, or none: where one cannot be, all take pods again. PlexError then."""
    for number, node in enumerate(nodes, 1):
        step.progress(f"draining {node}")
        try:
            _drain(kube, node)
        except PlexError:
            with suppress(UnreachableError):
                for begun in nodes[:number]:
                    kube.cordon(begun, closed=False)
            raise


def _drain(kube: Kube, node: str) -> None:
    """Cordon a node and evict its pods, as `kubectl drain` does; nothing if it is not there.

    PlexError, with the pods that are left, where disruption budgets hold them past the deadline.
    """
    if not kube.cordon(node):
        return

    def look() -> Observation:
        left = [pod for pod in kube.pods(node=node) if _must_leave(pod)]
        for pod in left:
            kube.evict(pod)
        return Observation(not left, ", ".join(f"{p.namespace}/{p.name}" for p in left[:5]))

    wait(
        Condition(
            f"{node} is drained",
            look,
            DEADLINE,
            every=0.5,
            hint="a PodDisruptionBudget may hold these pods; `--no-drain` does not ask it",
        )
    )


def _must_leave(pod: Pod) -> bool:
    return pod.controller not in STAY and pod.phase not in ("Succeeded", "Failed")
