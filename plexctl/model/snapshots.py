"""Snapshots of a plex, and the part of a host that takes and restores those of its instances."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_ON_HOST = re.compile(r"plex([1-9][0-9]{0,3})-(.+)")

NAME_RULE = "1 to 40 lower-case letters, digits and dashes, no dash at either end"


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """The name of a snapshot of a whole plex, and the number of nodes that were saved with it.

    A host has it as "plex3-before". The number shows that nodes are missing; snapshots whose names
    have no such form are not plexctl's. A snapshot has no tags of its own: it has a copy of its
    instance's.
    """

    name: str  # "before"
    nodes: int

    @property
    def on_host(self) -> str:
        return f"plex{self.nodes}-{self.name}"

    @classmethod
    def parse(cls, on_host: str) -> SnapshotName | None:
        """None if plexctl has not created a snapshot of this name."""
        found = _ON_HOST.fullmatch(on_host)
        return cls(found[2], int(found[1])) if found and is_snapshot_name(found[2]) else None


def is_snapshot_name(name: str) -> bool:
    """Whether a user can call a snapshot `name` (NAME_RULE)."""
    return bool(_NAME.fullmatch(name))


@dataclass(frozen=True, slots=True)
class ObservedSnapshot:
    """A snapshot of one instance that plexctl has created."""

    instance: str
    id: SnapshotName
    created: datetime
    size: int | None  # bytes that only the snapshot uses; None: the storage does not say
    tags: Mapping[str, str]  # of its instance, at that time


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage pool of a host's instances."""

    pool: str
    driver: str  # "btrfs", "zfs", "dir", …

    @property
    def copies_files(self) -> bool:
        """Whether a snapshot copies every file: the driver has no copy-on-write."""
        return self.driver == "dir"


class Snapshots(Protocol):
    """Snapshots of the instances of a host. `snapshot` is a name on the host.

    Every call is bounded in time, and may be repeated: what is so already is no error.
    """

    def storage(self) -> Storage:
        """The pool that snapshots are in."""

    def list(self, instance: str) -> tuple[ObservedSnapshot, ...]:
        """The snapshots of an instance that plexctl has created, the oldest first.

        None of an instance that does not exist.
        """

    def freeze(self, instance: str) -> None:
        """Stop all processes of a running instance where they are. It keeps its memory."""

    def thaw(self, instance: str) -> None:
        """Let the processes of a frozen instance go on. One that is not frozen is no error."""

    def create(self, instance: str, snapshot: str) -> None:
        """Take a snapshot of the disk and of the configuration."""

    def restore(self, instance: str, snapshot: str) -> None:
        """Bring a stopped instance back to a snapshot: its disk and its configuration."""

    def delete(self, instance: str, snapshot: str) -> None:
        """Delete a snapshot. One that does not exist is no error."""


@dataclass(frozen=True, slots=True)
class PlexSnapshot:
    """A snapshot of a plex: what its hosts have of it."""

    id: SnapshotName
    parts: Mapping[str, ObservedSnapshot]  # by instance

    @property
    def created(self) -> datetime:
        return min(part.created for part in self.parts.values())

    @property
    def size(self) -> int | None:
        sizes = [part.size for part in self.parts.values() if part.size is not None]
        return sum(sizes) if sizes else None

    @property
    def gone(self) -> int:
        """Nodes that were saved and whose snapshot is gone, with the node or by hand."""
        return max(0, self.id.nodes - len(self.parts))

    def lacking(self, instances: Iterable[str]) -> tuple[str, ...]:
        """Those of `instances` that have no such snapshot."""
        return tuple(name for name in instances if name not in self.parts)

    def is_complete(self, instances: Iterable[str]) -> bool:
        """Whether it has all nodes that were saved, and they are all of `instances`."""
        return not self.gone and not self.lacking(instances)


def plex_snapshots(parts: Iterable[ObservedSnapshot]) -> tuple[PlexSnapshot, ...]:
    """The snapshots of a plex from those of its instances, the oldest first.

    If somebody has created one name with several numbers of nodes, each is a snapshot of its own.
    """
    found: dict[SnapshotName, dict[str, ObservedSnapshot]] = {}
    for part in parts:
        found.setdefault(part.id, {})[part.instance] = part
    grouped = (PlexSnapshot(id_, own) for id_, own in found.items())
    return tuple(sorted(grouped, key=lambda one: (one.created, one.id.name)))
