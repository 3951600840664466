"""A plex: one cluster, its networks and its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import NewType

from plexctl.model.gitops import Gitops
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.types import NodeType, Size

JsonText = NewType("JsonText", str)
"""Canonical JSON (sorted keys) of settings that plexctl hands on without reading them."""


class Role(StrEnum):
    MASTER = "master"
    WORKER = "worker"
    PLAIN = "plain"  # a node that is no part of the Kubernetes cluster


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str  # NoSchedule, PreferNoSchedule or NoExecute


class Link(StrEnum):
    """What the nodes of a plex are plugged into."""

    OWN = "own"  # a bridge of the plex's own on each host, joined by VXLAN where they are several
    BRIDGE = "bridge"  # the bridge that each host names, which leads to all of them


@dataclass(frozen=True, slots=True)
class Networks:
    """The three networks of a plex; none overlaps another one of the lab."""

    nodes: IPv4Network
    pods: IPv4Network
    services: IPv4Network
    link: Link = Link.OWN
    router: IPv4Address | None = None  # of a network that is not the plex's own
    vlan: int | None = None  # tag of the nodes on the hosts' bridges

    def gateway(self, place: int = 0) -> IPv4Interface:
        """What leads nodes out: on a bridge of the plex's own, its host's address there.

        `place` counts the hosts of the plex.
        """
        return IPv4Interface((self.router or self.nodes[1 + place], self.nodes.prefixlen))

    @property
    def api_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.services[10]


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of a plex. Built only by `model.nodes`."""

    name: str  # "demo2"
    index: int  # 1-based; 1 is the first master
    role: Role
    type: NodeType
    host: str
    address: IPv4Interface  # on the plex's node network
    pods: IPv4Network  # this node's own /24
    mac: str
    size: Size
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    kubelet: JsonText  # further fields of its KubeletConfiguration


@dataclass(frozen=True, slots=True)
class Group:
    """What a plex file says of some of its nodes; later groups win."""

    nodes: frozenset[int]
    type: NodeType | None
    host: str | None
    size: Size
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...] | None
    kubelet: JsonText


class Spread(StrEnum):
    """How nodes are given to hosts."""

    EVEN = "even"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class ApiForward:
    """Where the API of a plex is reached whose hosts are all other machines: at its master's."""

    address: IPv4Address
    port: int
    ssh: str | None = None  # login there, "root@10.0.0.7", for who goes on to nodes


@dataclass(frozen=True, slots=True)
class Plex:
    """One cluster, as `clusters/<name>/plex.yaml` declares it."""

    name: str
    file: Path
    kubernetes: str  # "1.36.3"
    host_order: tuple[
        str, ...
    ]  # hosts in the order in which nodes are given to them, again and again
    type: NodeType
    workers: int
    networks: Networks
    domain: str  # "cluster.local"
    dns_replicas: int
    epoch: int  # a new number rotates all keys
    groups: tuple[Group, ...]
    cluster: JsonText  # further fields of kubeadm's ClusterConfiguration
    proxy: JsonText  # further fields of KubeProxyConfiguration
    gitops: Gitops | None = None
    durable: bool = False  # whether etcd waits for the disk at each write
    engine: ProvisionEngine = ProvisionEngine.DIRECT
    api_forward: ApiForward | None = None  # None: this machine reaches its nodes

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts that it can have nodes on, the master's first; whatever its size."""
        named = (group.host for group in self.groups if group.host)
        first = next((g.host for g in reversed(self.groups) if 1 in g.nodes and g.host), None)
        return tuple(dict.fromkeys((first or self.host_order[0], *self.host_order, *named)))

    @property
    def size(self) -> int:
        """How many nodes there are, the master with them."""
        return 1 + self.workers
