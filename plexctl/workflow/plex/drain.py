"""Draining workers before their machines are deleted, as `kubectl drain` does.

By our own client: the official one has no drain either, and its import would add 0.5 s to
`replace NODE`, which takes 2.4 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from plexctl.clients.kube.client import CertificateError, Kube, NodeStatus, Pod, UnreachableError
from plexctl.errors import UsageError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Step

DEADLINE = 120.0

STAY = ("DaemonSet", "Node")
"""Controllers whose pods stay: a DaemonSet ignores cordons, and static pods end with the node."""

SHOWN = 6
"""Names in one line."""


def name_list(names: Sequence[str]) -> str:
    """ "demo2, demo3 and 7 more"."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def refuse_to_lose_pods(kube: Kube, nodes: Sequence[NodeStatus]) -> None:
    """UsageError if a pod of `nodes` has no controller, which would recreate it elsewhere."""
    found = [pod for node in nodes for pod in kube.pods(node=node.name) if _must_leave(pod)]
    lost = [f"{pod.namespace}/{pod.name}" for pod in found if not pod.controller]
    if lost:
        raise UsageError(
            f"refusing to drain {name_list([node.name for node in nodes])} without -y: "
            "nothing recreates pods without a controller",
            details=(f"they would be deleted: {name_list(lost)}",),
            hint="`-y` deletes them; `kubectl get pod NAME -o yaml` shows what they are",
        )


def drain(kube: Kube, nodes: Sequence[NodeStatus], step: Step) -> None:
    """Drain all of `nodes`, one after another.

    If one cannot be drained, or the run is interrupted, those that plexctl has cordoned, now or in
    an earlier run, are uncordoned again: a node that somebody else has cordoned stays as it was.
    TimedOutError, with the pods that are left, if a PodDisruptionBudget holds one too long.
    """
    cordoned: list[str] = []
    for node in nodes:
        step.progress(f"drain {node.name}")
        try:
            if node.draining or not node.unschedulable:
                cordoned.append(node.name)  # first: an interrupt may meet the call
                if not kube.cordon(node.name):
                    continue  # it is gone
            _evict_pods(kube, node.name)
        except BaseException:
            with suppress(UnreachableError):
                for name in cordoned:
                    kube.uncordon(name)
            raise


def _evict_pods(kube: Kube, node: str) -> None:
    """Evict the pods of a cordoned node, and wait until they are gone."""

    def probe() -> Observation:
        try:
            return evicted()
        except CertificateError:
            raise
        except UnreachableError as error:  # for a moment, while its address moves
            return Observation(False, error.summary)

    def evicted() -> Observation:
        left = [pod for pod in kube.pods(node=node) if _must_leave(pod)]
        for pod in left:
            kube.evict(pod)
        names = [f"{pod.namespace}/{pod.name}" for pod in left]
        return Observation(not left, f"pods are left: {name_list(names)}")

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
