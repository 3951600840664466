"""Folders of nodes that outlive them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from plexctl.model.settings import Settings


class Folders(Protocol):
    """Volumes of a host that its nodes have as folders."""

    def attach(self, instance: str, volume: str, path: str, tags: Settings) -> None:
        """Let a container have `volume` at `path`, also while it runs.

        The volume is created with `tags` if there is none. Nothing happens if the container has it.
        """

    def read(self, volume: str) -> Mapping[str, bytes]:
        """The files of a volume by name, without its subfolders; none if there is no volume."""
