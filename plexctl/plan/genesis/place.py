"""The nodes that run the pods of an addition, as a scheduler could choose them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from plexctl.model.plex import Node, Role, Taint
from plexctl.plan.documents import Document
from plexctl.plan.genesis.addition import Addition

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
STRICT = ("NoSchedule", "NoExecute")


def places(addition: Addition, nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """The nodes of the pods of each template, by its key.

    A DaemonSet has a pod on each node. The pods of a ReplicaSet are on nodes that suit them: first
    those that they prefer, then workers. The ReplicaSets of an addition are spread over them. So
    are StatefulSets, whose pods are created one after the other: each has its first one. If no node
    is known to suit, there is none: the scheduler chooses it later.
    """
    chosen, turn = {}, count()
    for key, template in addition.pods.items():
        spec, kind = template["spec"], template["metadata"]["ownerReferences"][0]["kind"]
        if kind == "DaemonSet":
            chosen[key] = list(nodes)
            continue
        preferred = [node for node in nodes if _suits(spec, node) and _prefers(spec, node)]
        others = [node for node in nodes if _suits(spec, node) and node not in preferred]
        others.sort(key=lambda node: node.role is not Role.WORKER)
        suited = [*preferred, *others]
        first = 0 if preferred else next(turn)
        replicas = _first_pods(_owner(addition, template)["spec"], kind) if suited else 0
        chosen[key] = [suited[(first + number) % len(suited)] for number in range(replicas)]
    return chosen


def _first_pods(spec: Document, kind: str) -> int:
    """How many pods a controller creates at once."""
    wanted: int = spec.get("replicas", 1)
    in_order = kind == "StatefulSet" and spec.get("podManagementPolicy") != "Parallel"
    return min(wanted, 1) if in_order else wanted


def _owner(addition: Addition, template: Document) -> Document:
    """The controller of a template."""
    owner = template["metadata"]["ownerReferences"][0]["uid"]
    return next(one for one in addition.objects.values() if one["metadata"].get("uid") == owner)


def _suits(spec: Document, node: Node) -> bool:
    labels, tolerations = _labels(node), spec.get("tolerations", ())
    return (
        labels.items() >= spec.get("nodeSelector", {}).items()
        and not any(REQUIRED in one for one in spec.get("affinity", {}).values())
        and all(
            any(_tolerates(one, taint) for one in tolerations)
            for taint in node.taints
            if taint.effect in STRICT
        )
    )


def _prefers(spec: Document, node: Node) -> bool:
    """Whether a preference of the pod for nodes is met."""
    preferences = spec.get("affinity", {}).get("nodeAffinity", {}).get(PREFERRED, ())
    labels = _labels(node)
    return any(
        all(
            one["operator"] == "In" and labels.get(one["key"]) in one["values"]
            for one in preference["preference"].get("matchExpressions", ())
        )
        for preference in preferences
    )


def _labels(node: Node) -> dict[str, str]:
    """The labels of a node by which pods are placed."""
    own = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": node.name}
    return {**own, **dict(node.labels)}


def _tolerates(toleration: Document, taint: Taint) -> bool:
    if toleration.get("effect", taint.effect) != taint.effect:
        return False
    if "key" not in toleration:
        return True  # all taints
    exists = toleration.get("operator") == "Exists"
    return toleration["key"] == taint.key and (exists or toleration.get("value", "") == taint.value)
