"""What the nodes of a plex are plugged into, on each of its hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface

from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Link, Plex
from plexctl.model.settings import settings
from plexctl.plan.resources.profile import NIC
from plexctl.plan.resources.types import Network, Owner

BRIDGE_PREFIX = "plex-"

TUNNEL_MTU = 1450
"""Bytes of a packet that fit into VXLAN on a network whose own packets have 1500."""


TUNNEL_PORT = 4789
"""The one that is registered for VXLAN; the kernel's own default is an older one."""

TUNNEL_TTL = 64
"""Routers that a packet may go through from host to host. With Incus' default, 1, it meets none."""


@dataclass(frozen=True, slots=True)
class Site:
    """A host of a plex, and how a node gets onto the plex's network there."""

    host: HostSpec
    gateway: IPv4Interface  # of the nodes on it
    network: Network | None  # the bridge that is made there; None: one that the host has
    nic: Mapping[str, str]  # the device of a node, without its address


def network_name(plex: str) -> str:
    """Of the bridge; Linux allows 15 characters."""
    return f"{BRIDGE_PREFIX}{plex}"


def mtu(plex: Plex) -> int | None:
    """Bytes of a packet between nodes; None: as the network has it."""
    return TUNNEL_MTU if plex.networks.link is Link.OWN and len(plex.hosts) > 1 else None


def sites(plex: Plex, owner: Owner, hosts: Mapping[str, HostSpec]) -> dict[str, Site]:
    """All hosts that `plex` can have nodes on. The first is the middle of a star of tunnels."""
    members = tuple(hosts[name] for name in plex.hosts)
    found = {}
    for place, host in enumerate(members):
        gateway = plex.networks.gateway(place)
        if plex.networks.link is Link.BRIDGE:
            found[host.name] = Site(host, gateway, None, _existing(plex, host))
            continue
        network = bridge(
            owner,
            host.name,
            gateway,
            pods=str(plex.networks.pods),
            tunnels=_tunnels(plex, owner, members, place),
        )
        found[host.name] = Site(host, gateway, network, _own(network))
    return found


def bridge(
    owner: Owner,
    host: str,
    gateway: IPv4Interface,
    *,
    pods: str | None = None,
    tunnels: Mapping[str, str] | None = None,
) -> Network:
    """A bridge of the owner's own. `pods` are reached over it too: their nodes answer for them."""
    config = {
        "ipv4.address": str(gateway),
        "ipv4.nat": "true",
        # Nodes know their addresses; dnsmasq only answers names.
        "ipv4.dhcp": "false",
        "ipv6.address": "none",
        **({"ipv4.routes": pods} if pods else {}),
        **(tunnels or {}),
    }
    return Network(network_name(owner.plex), host, owner, settings(config))


def _own(network: Network) -> dict[str, str]:
    """A node has the MTU of the bridge that it is on."""
    return {"type": "nic", "network": network.name, "name": NIC}


def _existing(plex: Plex, host: HostSpec) -> dict[str, str]:
    assert host.bridge is not None, host.name  # `check` has seen to it
    vlan = {"vlan": str(plex.networks.vlan)} if plex.networks.vlan else {}
    if host.kind is HostKind.PROXMOX:
        return {"bridge": host.bridge, **vlan}
    return {"type": "nic", "nictype": "bridged", "parent": host.bridge, "name": NIC, **vlan}


def _tunnels(plex: Plex, owner: Owner, members: tuple[HostSpec, ...], place: int) -> dict[str, str]:
    """Config of a bridge that leads to those of the other hosts.

    A star: bridges that are all joined to one another would send a packet round for ever.
    """
    if len(members) == 1:
        return {}
    others = [n for n in range(len(members)) if n != place] if place == 0 else [0]
    number = hashlib.sha256(f"{owner.lab}/{owner.plex}".encode()).digest()
    config = {"bridge.mtu": str(TUNNEL_MTU)}
    for other in others:
        tunnel = f"tunnel.{other}"
        config |= {
            f"{tunnel}.protocol": "vxlan",
            f"{tunnel}.id": str(int.from_bytes(number[:3])),
            f"{tunnel}.local": str(members[place].address),
            f"{tunnel}.remote": str(members[other].address),
            f"{tunnel}.port": str(TUNNEL_PORT),
            f"{tunnel}.ttl": str(TUNNEL_TTL),
        }
    return config
