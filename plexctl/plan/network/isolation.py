"""Who may connect to the nodes of a plex: the rules of its bridge on one host.

The host applies them to what passes between the bridge and the host, not to what stays on the
bridge. The kernel allows answers whatever the rules are. With the kernel module br_netfilter, which
Docker loads, packets from node to node pass them too: so the networks of the plex are allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses

from plexctl.model.nodes import FIRST_ADDRESS
from plexctl.model.plex import Plex
from plexctl.model.settings import Settings, settings
from plexctl.plan.network.links import TUNNEL_PORT
from plexctl.plan.resources.types import Acl, Network, Owner


def isolation(plex: Plex, owner: Owner, network: Network) -> Acl:
    """The ACL of a bridge of `plex`, of the same name.

    - Ingress: its own networks, which contain the host's address on the bridge, and those that
      `plex.allowed` has. If a port of the host leads to the API: everyone, to the API.
    - Egress: everything, but only from addresses of its own. Otherwise the root of a node could
      send packets to another plex that seem to come from there.
    - Egress: nothing to the tunnels of other plexes. The kernel accepts a VXLAN packet from any
      sender, so a pod could put frames onto the bridge of a plex with several hosts. Its own nodes
      may use the port among themselves.
    """
    networks = plex.networks
    own = (networks.nodes, networks.pods)
    ingress = [_rule("allow")]
    if plex.allowed is not None:
        ingress = [_rule("allow", source=_listed((*own, *plex.allowed)))]
        if forward := network.forward:
            port = str(forward.to_port)
            api = _rule("allow", destination=forward.to, destination_port=port, protocol="tcp")
            ingress.append(api)
    before, after = networks.nodes[FIRST_ADDRESS], networks.nodes[-1] + 1
    tunnel = _rule(
        "drop",
        destination=f"0.0.0.0-{before},{after}-255.255.255.255",
        destination_port=str(TUNNEL_PORT),
        protocol="udp",
    )
    egress = (tunnel, _rule("allow", source=_listed(own)))
    return Acl(network.name, network.host, owner, tuple(ingress), egress)


def _rule(action: str, **criteria: str) -> Settings:
    return settings({"action": action, "state": "enabled", **criteria})


def _listed(networks: Iterable[IPv4Network]) -> str:
    """Without networks that others contain: nftables refuses a set whose members overlap."""
    return ",".join(map(str, collapse_addresses(networks)))
