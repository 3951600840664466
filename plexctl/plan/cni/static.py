"""Pods with point-to-point links, and routes that are known before any node exists.

There is no agent, and nothing to wait for: it is the fastest network, and the default.
"""

from __future__ import annotations

import json

from plexctl.model.nodes import gateway
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile, private, text
from plexctl.plan.network.links import mtu

CNI_CONFIG = "/etc/cni/net.d/10-plex.conflist"


class StaticPodNetwork:
    """See `PodNetwork`."""

    routed = True
    # The range of a node depends on its number, not on the order of registration.
    allocates = False

    def files(self, plex: Plex, node: Node) -> tuple[BootFile, ...]:
        return (
            text("/etc/plexctl/nat.nft", masquerade(plex, node)),
            private(CNI_CONFIG, conflist(node, mtu(plex)).encode()),  # CIS 1.1.9
        )


def masquerade(plex: Plex, node: Node) -> str:
    """Rules for nft: packets of pods leave the plex with the address of their node.

    That includes packets to the gateway, which may have no route to pods, but not packets between
    pods and nodes.
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


def conflist(node: Node, size: int | None) -> str:
    """Point-to-point pod links with addresses of the node's own /24.

    There is no bridge, so a pod reaches itself and its neighbours through a service without
    br_netfilter. `size` is the MTU in bytes; None: the default.
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
