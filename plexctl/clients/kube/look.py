"""One look at a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.clients.kube.client import ApiAccess, NodeStatus, connect

COREDNS = ("kube-system", "coredns")


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What a cluster says of itself."""

    nodes: tuple[NodeStatus, ...]
    dns: tuple[int, int]  # pods of CoreDNS that are available, and wanted


def look(door: ApiAccess) -> ClusterState:
    """Ask a cluster once. UnreachableError if it does not answer."""
    with connect(door) as kube:
        return ClusterState(kube.nodes(), kube.available(*COREDNS))
