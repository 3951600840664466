"""The interface of a pod network, as a plan sees it. Pure."""

from __future__ import annotations

from typing import Protocol

from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile


class PodNetwork(Protocol):
    """How the pods of a plex are connected."""

    routed: bool
    """Whether each node has a route to the pods of every other node, from its first boot on."""

    allocates: bool
    """Whether the controller manager gives each node a range of addresses for its pods."""

    def files(self, plex: Plex, node: Node) -> tuple[BootFile, ...]:
        """The files of a node that connect its pods, or let them leave the plex."""
        ...
