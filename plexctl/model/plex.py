"""A plex: one cluster, its networks and its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import NewType

from plexctl.model.gitops import Gitops
from plexctl.model.kinds import Cni, ProvisionEngine
from plexctl.model.schedule import Schedule
from plexctl.model.types import NodeType, Size

JsonText = NewType("JsonText", str)
"""Canonical JSON (sorted keys) of settings that plexctl passes on unread."""

API_PORT = 6443
"""The port of API servers."""

ENDPOINT = 10
"""The API of a plex has this number in the network of the nodes; below are gateways of hosts."""


class Role(StrEnum):
    MASTER = "master"
    WORKER = "worker"
    PLAIN = "plain"  # a node outside the Kubernetes cluster


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str  # NoSchedule, PreferNoSchedule or NoExecute


class Link(StrEnum):
    """The bridges that the nodes of a plex are attached to."""

    OWN = "own"  # a bridge of the plex on each host, joined by VXLAN if there are several
    BRIDGE = "bridge"  # `bridge` of each host, which connects them all


@dataclass(frozen=True, slots=True)
class Networks:
    """The three networks of a plex; none overlaps another one of the lab."""

    nodes: IPv4Network
    pods: IPv4Network
    services: IPv4Network
    link: Link = Link.OWN
    router: IPv4Address | None = None  # of a network that exists already
    vlan: int | None = None  # tag of the nodes on the hosts' bridges

    def gateway(self, place: int = 0) -> IPv4Interface:
        """The gateway of the nodes: on a bridge of the plex, its host's address there.

        `place` counts the hosts of the plex.
        """
        return IPv4Interface((self.router or self.nodes[1 + place], self.nodes.prefixlen))

    @property
    def endpoint(self) -> IPv4Address:
        """The address of the API, whichever master answers there."""
        return self.nodes[ENDPOINT]

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
    kubelet: JsonText  # more fields of its KubeletConfiguration


@dataclass(frozen=True, slots=True)
class Group:
    """Fields of a plex file for some of its nodes; later groups win."""

    nodes: frozenset[int]
    type: NodeType | None
    host: str | None
    size: Size
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...] | None
    kubelet: JsonText


class Spread(StrEnum):
    """How nodes are distributed over hosts."""

    EVEN = "even"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class ApiForward:
    """A port of the master's host that leads to the API, if all hosts are other machines."""

    address: IPv4Address
    port: int
    ssh: str | None = None  # login there, "root@10.0.0.7", for SSH to nodes


@dataclass(frozen=True, slots=True)
class Plex:
    """One cluster, as `clusters/<name>/plex.yaml` declares it."""

    name: str
    file: Path
    kubernetes: str  # "1.36.3"
    host_order: tuple[str, ...]  # nodes are given to hosts in this order, repeatedly
    type: NodeType
    workers: int
    networks: Networks
    domain: str  # "cluster.local"
    dns_replicas: int
    epoch: int  # another number changes all keys
    groups: tuple[Group, ...]
    cluster: JsonText  # more fields of kubeadm's ClusterConfiguration
    proxy: JsonText  # more fields of KubeProxyConfiguration
    gitops: Gitops | None = None
    durable: bool = False  # whether etcd syncs each write to the disk
    genesis: bool = True  # whether a new cluster is born with the contents of etcd
    engine: ProvisionEngine = ProvisionEngine.DIRECT
    api_forward: ApiForward | None = None  # None: this machine reaches its nodes
    allowed: tuple[IPv4Network, ...] | None = ()  # may connect to nodes and pods; None: everyone
    masters: int = 1  # nodes 1 to `masters`; an odd number
    backup: Schedule | None = None  # None: masters save nothing by themselves
    cni: Cni = Cni.STATIC

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts that may run nodes of the plex, node 1's first; independent of its size."""
        named = (group.host for group in self.groups if group.host)
        first = next((g.host for g in reversed(self.groups) if 1 in g.nodes and g.host), None)
        return tuple(dict.fromkeys((first or self.host_order[0], *self.host_order, *named)))

    @property
    def size(self) -> int:
        """The number of nodes, including the masters."""
        return self.masters + self.workers
