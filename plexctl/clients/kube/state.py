"""The state of a cluster, read once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import Kube, NodeStatus, connect

DNS_SERVICE = ("kube-system", "kube-dns")
"""Namespace and name of the Service."""

POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
CLAIMS = "/api/v1/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
MOST = "100"
"""Claims that are looked at: one that is Pending is enough for a note."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The nodes of a cluster, whether its DNS is available, and what the cluster ignores."""

    nodes: tuple[NodeStatus, ...]
    dns: int  # pods of CoreDNS that are Ready
    notes: tuple[str, ...] = ()  # objects that have no effect, one sentence each


def read_state(access: ApiAccess) -> ClusterState:
    """Read the state of a cluster. UnreachableError if its API does not answer.

    The list of nodes takes longest: the others are read meanwhile.
    """
    with connect(access) as kube, ThreadPoolExecutor(1) as pool:
        nodes = pool.submit(kube.nodes)
        ready = kube.ready_endpoints(*DNS_SERVICE)
        notes = tuple(_without_effect(kube))
        return ClusterState(nodes.result(), ready, notes)


def _without_effect(kube: Kube) -> Iterator[str]:
    """A sentence for each kind of objects that the API accepts and nothing in a plex acts on."""
    if _items(kube, POLICIES, "1"):
        yield "NetworkPolicies exist, and the network plugin (ptp) does not enforce them"
    pending = [one for one in _items(kube, CLAIMS, MOST) if _is_pending(one)]
    if pending and not _items(kube, CLASSES, "1"):
        names = ", ".join(
            f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in pending[:3]
        )
        yield f"PersistentVolumeClaims are Pending, and there is no storage class: {names}"


def _items(kube: Kube, path: str, most: str) -> list[dict[str, Any]]:
    return list((kube.read(path, params={"limit": most}) or {}).get("items", ()))


def _is_pending(claim: dict[str, Any]) -> bool:
    return bool(claim.get("status", {}).get("phase") == "Pending")
