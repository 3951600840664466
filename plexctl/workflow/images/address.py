"""The address of a VM on a Proxmox host while its template is baked."""

from __future__ import annotations

from ipaddress import IPv4Interface

from plexctl.bake.proxmox import BakeAddress
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec
from plexctl.model.lab import Lab
from plexctl.model.nodes import FIRST_ADDRESS
from plexctl.model.plex import Link, Plex


def bake_address(lab: Lab, host: str) -> BakeAddress:
    """The last address of a plex that is on the host's bridge.

    Each host of that plex has another one, as they may bake at the same time. PlexError if there
    is none.
    """
    plexes = [
        plex
        for plex in lab.plexes.values()
        if host in plex.hosts and plex.networks.link is Link.BRIDGE
    ]
    for plex in plexes:
        if found := _last_address(plex, lab.hosts[host]):
            return found
    if plexes:
        raise PlexError(
            f"plex {plexes[0].name} has no free address for a VM that is baked on {host}",
            hint="give it fewer workers or a larger network until the bake is done",
        )
    raise PlexError(
        f"no plex gives an address to the VM that is baked on host {host}",
        hint=f"declare a plex on {host} with `link: bridge`: the bake takes the last address of "
        "its network",
    )


def _last_address(plex: Plex, host: HostSpec) -> BakeAddress | None:
    networks = plex.networks
    assert host.bridge is not None, host.name  # the configuration is checked
    place = plex.hosts.index(host.name)
    number = networks.nodes.num_addresses - 2 - place
    if number <= FIRST_ADDRESS + plex.size:
        return None
    address = IPv4Interface((networks.nodes[number], networks.nodes.prefixlen))
    return BakeAddress(address, networks.gateway(place).ip, host.bridge, networks.vlan)
