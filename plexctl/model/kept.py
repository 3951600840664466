"""Nodes that an upgrade keeps while it replaces them: stopped, under another name.

A kept node has its disk, its snapshots and its tags. It is nobody's node: nothing starts it or
counts it, and it is deleted with its plex.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from plexctl.model.observed import ObservedInstance

KEPT = "kept"
"""The tag of a kept node: the run that keeps it."""

SUFFIX = "-before"
"""Names of nodes end with a number: a plex has no node of this name."""


def kept_name(node: str) -> str:
    """The name of a node while it is kept: "demo1-before"."""
    return f"{node}{SUFFIX}"


def original_name(kept: str) -> str:
    """The name of a kept node before."""
    return kept.removesuffix(SUFFIX)


def is_kept(one: ObservedInstance) -> bool:
    return KEPT in one.tags


def without_kept(found: Mapping[str, ObservedInstance]) -> dict[str, ObservedInstance]:
    """The instances in `found` that are not kept."""
    return {name: one for name, one in found.items() if not is_kept(one)}


class Keeper(Protocol):
    """The part of a host that keeps nodes and brings them back. Every call is bounded in time."""

    def keep(self, node: str, run: str) -> None:
        """Stop a node at once, tag it, and give it its kept name. Its network address is free then.

        An interrupted call may leave a node that has the tag, and its own name.
        """

    def bring_back(self, node: str) -> None:
        """Give a kept node its name again.

        Its snapshot has the rest of its configuration: restore that before it is started.
        """
