"""Networks of hosts that overlap with those of a plex. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from plexctl.model.observed import HostState, ObservedNetwork
from plexctl.model.plex import Link, Plex
from plexctl.model.routes import Route

LARGE = 15
"""Routes of at most this prefix lead to larger networks than a plex has."""


def overlaps(
    networks: Mapping[str, IPv4Network],
    bridge: str,
    state: HostState,
    routes: Sequence[Route],
) -> Iterator[str]:
    """A line for each network of a host that overlaps with one of `networks` (by field).

    `bridge` is the plex's own: its network and the routes to it do not count.
    """
    for name, observed in state.networks.items():
        for field, wanted in networks.items():
            for other in observed.subnets:
                if name != bridge and other.overlaps(wanted):
                    yield f"{field} {wanted}: {_network(observed)} of host {state.host} has {other}"
    # Incus lists all interfaces of its machine as networks; only its own have addresses there.
    known = {name for name, observed in state.networks.items() if observed.subnets}
    for route in routes:
        if route.interface in {bridge, *known}:
            continue
        for field, wanted in networks.items():
            if route.overlaps(wanted):
                what = f"interface {route.interface} of host {state.host}"
                yield f"{field} {wanted}: {what} has a route to {route.network}"


def is_there(plex: Plex, bridge: str, state: HostState) -> bool:
    """Whether the host has the bridge of a plex already, with the network of its nodes.

    On a bridge that existed before: whether it has nodes of the plex.
    """
    if plex.networks.link is Link.BRIDGE:
        return any(name.removeprefix(plex.name).isdecimal() for name in state.instances)
    return has_bridge(bridge, plex.networks.nodes, state)


def has_bridge(bridge: str, network: IPv4Network, state: HostState) -> bool:
    """Whether the host has the bridge already, with this network."""
    observed = state.networks.get(bridge)
    return observed is not None and network in observed.subnets


def used_networks(state: HostState, routes: Sequence[Route]) -> Iterator[IPv4Network]:
    """The networks that a plex on this host should not have."""
    for observed in state.networks.values():
        yield from observed.subnets
    for route in routes:
        if route.connected or route.network.prefixlen > LARGE:
            yield route.network


def _network(observed: ObservedNetwork) -> str:
    plex = observed.tags.get("plex")
    return f"network {observed.name}" + (f" (plex {plex})" if plex else "")
