"""A lab: the folder with `clusters/`, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.model.host_spec import HostSpec
from plexctl.model.plex import Plex
from plexctl.model.registry import Registry
from plexctl.model.types import NodeType

CURRENT = "current"
"""The file in a lab's state with the name of the current plex."""


@dataclass(frozen=True, slots=True)
class Lab:
    """The configuration files of a lab. Mappings are by name and never changed."""

    root: Path
    hosts: Mapping[str, HostSpec]
    types: Mapping[str, NodeType]
    plexes: Mapping[str, Plex]
    registry: Registry | None = None
    secrets_epoch: int = 1

    @property
    def state(self) -> Path:
        """The git-ignored folder for locks, run records and generated files."""
        return self.root / ".plexctl"
