"""Draining workers before their machines are deleted, as `kubectl drain` does.

By our own client: the official one has no drain either, and its import would add 0.5 s to
`replace NODE`, which takes 2.4 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from plexctl.clients.kube.client import Kube, Pod, UnreachableError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Step

DEADLINE = 120.0

STAY = ("DaemonSet", "Node")
"""Controllers whose pods stay: a DaemonSet ignores cordons, and static pods end with the node."""


def drain(kube: Kube, nodes: Sequence[str], step: Step) -> None:
    """Drain all of `nodes`, one after another.

    If one cannot be drained, or the run is interrupted, all of them are uncordoned again.
    TimedOutError, with the pods that are left, if a PodDisruptionBudget holds one too long.
    """
    for number, node in enumerate(nodes, 1):
        step.progress(f"drain {node}")
        try:
            _drain(kube, node)
        except BaseException:
            with suppress(UnreachableError):
                for cordoned in nodes[:number]:
                    kube.uncordon(cordoned)
            raise


def _drain(kube: Kube, node: str) -> None:
    """Cordon a node and evict its pods. Nothing if there is no such node."""
    if not kube.cordon(node):
        return

    def probe() -> Observation:
        left = [pod for pod in kube.pods(node=node) if _must_leave(pod)]
        for pod in left:
            kube.evict(pod)
        names = [f"{pod.namespace}/{pod.name}" for pod in left[:5]]
        return Observation(not left, f"pods are left: {', '.join(names)}")

    wait(
        Condition(
            f"{node} is drained",
            probe,
            DEADLINE,
            every=0.5,
            hint="a PodDisruptionBudget may hold these pods; `--no-drain` skips evictions",
        )
    )


def _must_leave(pod: Pod) -> bool:
    return pod.controller not in STAY and pod.phase not in ("Succeeded", "Failed")
