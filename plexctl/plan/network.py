"""Addresses, routes, names and pod networking of a node, as files.

A node knows the way to every node that its plex can ever have: a plex is scaled without a change
on the nodes that are there.
"""

from __future__ import annotations

import json

from plexctl.model.nodes import address, capacity, node_name, pod_network
from plexctl.model.plex import Node, Plex
from plexctl.plan.files import BootFile, text
from plexctl.plan.profile import NIC

CNI_CONFIG = "/etc/cni/net.d/10-plex.conflist"


def network_files(plex: Plex, node: Node) -> tuple[BootFile, ...]:
    return (
        text("/etc/hostname", f"{node.name}\n"),
        text("/etc/hosts", hosts(plex)),
        text("/etc/resolv.conf", f"nameserver {plex.networks.gateway.ip}\n"),
        text("/etc/plexctl/network.batch", ip_batch(plex, node)),
    )


def pod_network_files(plex: Plex, node: Node) -> tuple[BootFile, ...]:
    return (
        text("/etc/plexctl/nat.nft", masquerade(plex, node)),
        text(CNI_CONFIG, cni(node)),
    )


def hosts(plex: Plex) -> str:
    lines = ["127.0.0.1 localhost"]
    for index in range(1, capacity(plex.networks) + 1):
        lines.append(f"{address(plex.networks, index).ip} {node_name(plex.name, index)}")
    return "\n".join(lines) + "\n"


def ip_batch(plex: Plex, node: Node) -> str:
    """Lines for `ip -batch`: one process for all routes, and repeatable.

    A node has no route to its own pods here: they are reached by their own interfaces.
    """
    lines = [
        "link set dev lo up",
        f"link set dev {NIC} up",
        f"address replace {node.address} dev {NIC}",
        f"route replace default via {plex.networks.gateway.ip}",
    ]
    for index in range(1, capacity(plex.networks) + 1):
        if index != node.index:
            pods, via = pod_network(plex.networks, index), address(plex.networks, index).ip
            lines.append(f"route replace {pods} via {via}")
    return "\n".join(lines) + "\n"


def masquerade(plex: Plex, node: Node) -> str:
    """Rules for nft: pods leave the plex with their node's address.

    Towards the gateway too, since the host has no route to pods, but not between pods and nodes.
    """
    pods, nodes = plex.networks.pods, plex.networks.nodes
    return f"""\
table ip plexctl
delete table ip plexctl
table ip plexctl {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {node.pods} ip daddr {plex.networks.gateway.ip} masquerade
    ip saddr {node.pods} ip daddr != {{ {pods}, {nodes} }} masquerade
  }}
}}
"""


def cni(node: Node) -> str:
    """Point-to-point pod links with addresses of the node's own /24.

    No bridge: a pod reaches itself and its neighbours through a service without br_netfilter.
    """
    links = {
        "type": "ptp",
        "ipMasq": False,
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
