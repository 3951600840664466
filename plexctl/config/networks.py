"""Default networks of plexes, and networks that are free in a lab.

A slot is a number from 0 to 61. It has three networks, which overlap with no other slot's:
nodes 10.(64).slot.0/24, pods 10.(128 + slot).0.0/16, services a /20 in 10.96.0.0/14.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Network

from plexctl.errors import UsageError
from plexctl.model.plex import Networks

SLOTS = 62


def default_networks(plex: str) -> Networks:
    """The networks of a plex whose file has none: always the same for the same name."""
    return _slot(_slot_of(plex))


def free_networks(used: Iterable[IPv4Network], plex: str = "") -> Networks:
    """The networks of a slot that overlaps with nothing in `used`: that of `plex`, or the first.

    UsageError if there is none.
    """
    taken = tuple(used)
    for slot in ([_slot_of(plex)] if plex else []) + list(range(SLOTS)):
        networks = _slot(slot)
        if not any(own.overlaps(other) for own in each(networks).values() for other in taken):
            return networks
    raise UsageError(
        f"each of the {SLOTS} default networks overlaps with a network in use",
        hint="write networks of your own into `networks` of plex.yaml",
    )


def each(networks: Networks) -> dict[str, IPv4Network]:
    """The three networks, by their fields in plex.yaml."""
    return {"nodes": networks.nodes, "pods": networks.pods, "services": networks.services}


def _slot_of(plex: str) -> int:
    return hashlib.sha256(plex.encode()).digest()[0] % SLOTS


def _slot(slot: int) -> Networks:
    return Networks(
        nodes=IPv4Network(f"10.64.{slot}.0/24"),
        pods=IPv4Network(f"10.{128 + slot}.0.0/16"),
        services=IPv4Network(f"10.{96 + slot // 16}.{slot % 16 * 16}.0/20"),
    )
