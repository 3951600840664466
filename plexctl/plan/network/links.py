"""The networks that the nodes of a plex are attached to, on each of its hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from plexctl.model.host_spec import HostSpec
from plexctl.model.lab_id import short
from plexctl.model.plex import API_PORT, Link, Plex
from plexctl.model.settings import settings
from plexctl.plan.resources.types import ACLS, Forward, Network, Owner

BRIDGE_PREFIX = "plex-"

TUNNEL_MTU = 1450
"""Bytes of a packet that fit into VXLAN on a network with packets of 1500 bytes."""

TUNNEL_PORT = 4789
"""The port that IANA registered for VXLAN; the kernel's default is an older one."""

TUNNEL_TTL = 64
"""Routers that a packet may pass from host to host. Incus' default, 1, allows none."""


@dataclass(frozen=True, slots=True)
class Site:
    """A host of a plex, and the bridge there that connects nodes to the plex's network."""

    host: HostSpec
    gateway: IPv4Interface  # of the nodes on it
    bridge: str
    network: Network | None = None  # the bridge, if the plex creates it; None: the host has it
    vlan: int | None = None  # tag of the nodes on a bridge that the host has


def network_name(plex: str) -> str:
    """Name of the plex's bridge. Linux allows 15 characters."""
    return f"{BRIDGE_PREFIX}{plex}"


def mtu(plex: Plex) -> int | None:
    """The MTU between nodes in bytes; None: the default of the network."""
    return TUNNEL_MTU if plex.networks.link is Link.OWN and len(plex.hosts) > 1 else None


def sites(plex: Plex, owner: Owner, hosts: Mapping[str, HostSpec]) -> dict[str, Site]:
    """All hosts that `plex` can have nodes on. The first is the center of a star of tunnels."""
    members = tuple(hosts[name] for name in plex.hosts)
    found = {}
    for place, host in enumerate(members):
        gateway = plex.networks.gateway(place)
        if plex.networks.link is Link.BRIDGE:
            assert host.bridge is not None, host.name  # config.check requires one
            found[host.name] = Site(host, gateway, host.bridge, vlan=plex.networks.vlan or None)
            continue
        network = bridge(
            owner,
            host.name,
            gateway,
            pods=str(plex.networks.pods),
            acl=network_name(owner.plex),
            tunnels=_tunnels(owner, members, place),
        )
        network = replace(network, forward=_forward(plex, host))
        found[host.name] = Site(host, gateway, network.name, network)
    return found


def _forward(plex: Plex, host: HostSpec) -> Forward | None:
    """The port of a host that leads to the API of several masters, whichever runs.

    None where a device of the first master does that. A forward belongs to the network: it works
    whichever master is lost. It needs a plex with one host, as answers of masters on another one
    would take another way, and rights that a lab in a project does not have.
    """
    if plex.api_forward is None or plex.masters == 1 or len(plex.hosts) > 1 or host.confined:
        return None
    listen, to = plex.api_forward, str(plex.networks.endpoint)
    return Forward(str(listen.address), listen.port, to, API_PORT)


def bridge(
    owner: Owner,
    host: str,
    gateway: IPv4Interface,
    *,
    pods: str | None = None,
    acl: str | None = None,
    tunnels: Mapping[str, str] | None = None,
) -> Network:
    """The bridge of one owner on one host.

    `pods` is a network that is routed over the bridge: nodes answer ARP requests for their pods.
    `acl` is the name of the ACL that limits what passes between the bridge and the host.
    """
    config = {
        "ipv4.address": str(gateway),
        "ipv4.nat": "true",
        # Nodes have static addresses; dnsmasq only resolves names.
        "ipv4.dhcp": "false",
        "ipv6.address": "none",
        **({"ipv4.routes": pods} if pods else {}),
        **({ACLS: acl} if acl else {}),
        **(tunnels or {}),
    }
    return Network(network_name(owner.plex), host, owner, settings(config))


def _tunnels(owner: Owner, members: tuple[HostSpec, ...], place: int) -> dict[str, str]:
    """Config of the VXLAN tunnels from one host's bridge to those of the other hosts.

    The tunnels form a star: a full mesh would forward packets in loops.
    """
    if len(members) == 1:
        return {}
    others = [n for n in range(len(members)) if n != place] if place == 0 else [0]
    number = hashlib.sha256(f"{short(owner.lab)}/{owner.plex}".encode()).digest()
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
