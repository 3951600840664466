"""The nodes of a plex, from its file: names, addresses, pod networks, MACs."""

from __future__ import annotations

import hashlib
import json
import re
from ipaddress import IPv4Interface, IPv4Network

from plexctl.model.plex import ENDPOINT, Group, JsonText, Networks, Node, Plex, Role, Taint
from plexctl.model.types import Size

POD_PREFIX = 24
FIRST_ADDRESS = ENDPOINT
"""Node N has host number 10 + N; 10 is the API's, and those below are gateways."""

MASTER_TAINT = Taint("node-role.kubernetes.io/control-plane", "", "NoSchedule")


def capacity(networks: Networks) -> int:
    """The number of nodes that fit: each needs an address and a /24 for pods."""
    addresses = networks.nodes.num_addresses - FIRST_ADDRESS - 2
    pod_networks = networks.pods.num_addresses >> (32 - POD_PREFIX)
    return max(0, min(addresses, pod_networks - 1))


def address(networks: Networks, index: int) -> IPv4Interface:
    """The address of node `index` (1-based) on the node network."""
    return IPv4Interface((networks.nodes[FIRST_ADDRESS + index], networks.nodes.prefixlen))


def gateway(plex: Plex, node: Node) -> IPv4Interface:
    """The gateway of `node`."""
    return plex.networks.gateway(plex.hosts.index(node.host))


def pod_network(networks: Networks, index: int) -> IPv4Network:
    """The /24 of pods of node `index` (1-based)."""
    first = int(networks.pods.network_address) + (index << (32 - POD_PREFIX))
    return IPv4Network((first, POD_PREFIX))


def mac(plex: str, index: int) -> str:
    """A MAC address with Incus' prefix: the same on every machine, unique on a bridge."""
    digest = hashlib.sha256(plex.encode()).digest()
    last = (digest[0], *index.to_bytes(2))
    return "10:66:6a:" + ":".join(f"{byte:02x}" for byte in last)


def node_name(plex: str, index: int) -> str:
    return f"{plex}{index}"


def natural(name: str) -> tuple[tuple[str, int, str], ...]:
    """A key for sorting: demo2 comes before demo10.

    A number is compared by its digits: Python converts no more than some thousands.
    """
    parts = re.findall(r"([^0-9]*)0*([0-9]*)", name)
    return tuple((text, len(digits), digits) for text, digits in parts)


def nodes(plex: Plex) -> tuple[Node, ...]:
    """All nodes of `plex` in the order of their numbers."""
    return tuple(node(plex, index) for index in range(1, plex.size + 1))


def masters(plex: Plex) -> tuple[Node, ...]:
    """The nodes with the control plane of `plex`."""
    return tuple(node(plex, index) for index in range(1, plex.masters + 1))


def node(plex: Plex, index: int) -> Node:
    """Node `index` of `plex`, whether or not the plex has that many."""
    groups = _groups_of(plex, index)
    node_type = next((group.type for group in reversed(groups) if group.type), plex.type)
    host, size = plex.host_order[(index - 1) % len(plex.host_order)], node_type.size
    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = (MASTER_TAINT,) if index <= plex.masters else ()
    kubelet: dict[str, object] = {}
    for group in groups:
        host = group.host or host
        size = _overlay(size, group.size)
        labels.update(group.labels)
        taints = taints if group.taints is None else group.taints
        kubelet.update(json.loads(group.kubelet))
    worker = Role.WORKER if node_type.kubernetes else Role.PLAIN
    return Node(
        name=node_name(plex.name, index),
        index=index,
        role=Role.MASTER if index <= plex.masters else worker,
        type=node_type,
        host=host,
        address=address(plex.networks, index),
        pods=pod_network(plex.networks, index),
        mac=mac(plex.name, index),
        size=size,
        labels=tuple(sorted(labels.items())),
        taints=taints,
        kubelet=JsonText(json.dumps(kubelet, sort_keys=True)),
    )


def _groups_of(plex: Plex, index: int) -> tuple[Group, ...]:
    return tuple(group for group in plex.groups if index in group.nodes)


def _overlay(below: Size, above: Size) -> Size:
    return Size(
        cpu=above.cpu if above.cpu is not None else below.cpu,
        memory=above.memory if above.memory is not None else below.memory,
        disk=above.disk if above.disk is not None else below.disk,
    )
