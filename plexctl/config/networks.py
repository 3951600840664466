"""Networks of a plex that names none, and networks that are free in a lab.

A slot is a number from 0 to 61 and stands for three networks that overlap with no other slot's:
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
    """The networks of a plex that names none: always the same for the same name."""
    return _slot(_slot_of(plex))


def free_networks(used: Iterable[IPv4Network], plex: str = "") -> Networks:
    """The first slot that overlaps with nothing in `used`, the default one of `plex` tried first.

    UsageError if there is none.
    """
    taken = tuple(used)
    for slot in ([_slot_of(plex)] if plex else []) + list(range(SLOTS)):
        networks = _slot(slot)
        if not any(own.overlaps(other) for own in each(networks).values() for other in taken):
            return networks
    raise UsageError(
        f"all {SLOTS} default networks overlap with a network that is in use",
        hint="name networks of your own in plex.yaml",
    )


def each(networks: Networks) -> dict[str, IPv4Network]:
    """The three networks by their field in plex.yaml."""
    return {"nodes": networks.nodes, "pods": networks.pods, "services": networks.services}


def _slot_of(plex: str) -> int:
    return hashlib.sha256(plex.encode()).digest()[0] % SLOTS


def _slot(slot: int) -> Networks:
    return Networks(
        nodes=IPv4Network(f"10.64.{slot}.0/24"),
        pods=IPv4Network(f"10.{128 + slot}.0.0/16"),
        services=IPv4Network(f"10.{96 + slot // 16}.{slot % 16 * 16}.0/20"),
    )
