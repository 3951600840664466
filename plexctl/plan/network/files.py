"""Addresses, routes, names and pod networking of a node, as files.

A node knows the way to every node that its plex can ever have: a plex is scaled without a change
on the nodes that are there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from plexctl.model.nodes import FIRST_ADDRESS, capacity, gateway, node_name, pod_network
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile, text
from plexctl.plan.network.links import mtu
from plexctl.plan.resources.profile import NIC

CNI_CONFIG = "/etc/cni/net.d/10-plex.conflist"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A node that a plex has or could have, as the files of all others name it."""

    index: int
    host: str  # line of /etc/hosts
    route: str  # line of `ip -batch`


def neighbours(plex: Plex) -> tuple[Neighbour, ...]:
    """All of them: computed once a plex, as there are hundreds."""
    found = []
    for index in range(1, capacity(plex.networks) + 1):
        via = plex.networks.nodes[FIRST_ADDRESS + index]
        host = f"{via} {node_name(plex.name, index)}"
        route = f"route replace {pod_network(plex.networks, index)} via {via}"
        found.append(Neighbour(index, host, route))
    return tuple(found)


def network_files(plex: Plex, node: Node, others: tuple[Neighbour, ...]) -> tuple[BootFile, ...]:
    batch = ip_batch(plex, node, others)
    return machine_files(node.name, gateway(plex, node).ip, hosts(others), batch)


def machine_files(
    name: str, gateway: IPv4Address, names: str, batch: Sequence[str]
) -> tuple[BootFile, ...]:
    """What any machine is called, and how it reaches the world."""
    return (
        text("/etc/hostname", f"{name}\n"),
        text("/etc/hosts", names),
        text("/etc/resolv.conf", f"nameserver {gateway}\n"),
        text("/etc/plexctl/network.batch", "\n".join(batch) + "\n"),
    )


def pod_network_files(plex: Plex, node: Node) -> tuple[BootFile, ...]:
    return (
        text("/etc/plexctl/nat.nft", masquerade(plex, node)),
        text(CNI_CONFIG, cni(node, mtu(plex))),
    )


def hosts(others: tuple[Neighbour, ...]) -> str:
    return "\n".join(("127.0.0.1 localhost", *(other.host for other in others))) + "\n"


def ip_batch(plex: Plex, node: Node, others: tuple[Neighbour, ...]) -> tuple[str, ...]:
    """Lines for `ip -batch`: one process for all routes, and repeatable.

    A node has no route to its own pods here: they are reached by their own interfaces.
    """
    routes = (other.route for other in others if other.index != node.index)
    return (*link_lines(node.address, gateway(plex, node).ip), *routes)


def link_lines(address: IPv4Interface, gateway: IPv4Address) -> tuple[str, ...]:
    """The machine's own address, and the way to all others."""
    return (
        "link set dev lo up",
        f"link set dev {NIC} up",
        f"address replace {address} dev {NIC}",
        f"route replace default via {gateway}",
    )


def masquerade(plex: Plex, node: Node) -> str:
    """Rules for nft: pods leave the plex with their node's address.

    Towards the gateway too, which may have no route to pods, but not between pods and nodes.
    """
    pods, nodes = plex.networks.pods, plex.networks.nodes
    return f"""\
table ip plexctl
delete table ip plexctl
table ip plexctl {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {node.pods} ip daddr {gateway(plex, node).ip} masquerade
    ip saddr {node.pods} ip daddr != {{ {pods}, {nodes} }} masquerade
  }}
}}
"""


def cni(node: Node, size: int | None) -> str:
    """Point-to-point pod links with addresses of the node's own /24.

    No bridge: a pod reaches itself and its neighbours through a service without br_netfilter.
    `size` is the bytes of a packet, where they are fewer than usual.
    """
    links = {
        "type": "ptp",
        "ipMasq": False,
        **({"mtu": size} if size else {}),
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam",
            "ranges": [[{"subnet": str(node.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}}
    document = {"cniVersion": "1.0.0", "name": "plex", "plugins": [links, ports]}
    return json.dumps(document, indent=2) + "\n"
