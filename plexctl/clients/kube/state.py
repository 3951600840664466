"""The state of a cluster, read once."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import NodeStatus, connect

COREDNS = ("kube-system", "coredns")
"""Namespace and name of its Deployment."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The nodes of a cluster, and whether its DNS is available."""

    nodes: tuple[NodeStatus, ...]
    dns: tuple[int, int]  # available and desired replicas of CoreDNS


def read_state(access: ApiAccess) -> ClusterState:
    """Read the state of a cluster. UnreachableError if its API does not answer."""
    with connect(access) as kube:
        return ClusterState(kube.nodes(), kube.replicas(*COREDNS))
