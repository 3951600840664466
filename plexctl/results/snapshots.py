"""Results of commands about snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.results.status import NodeRow


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot of a plex."""

    name: str
    created: str  # date and time in UTC, ISO 8601
    age: int  # seconds
    size: int | None  # bytes that only the snapshot uses; None: the storage does not say
    nodes: int  # that were saved
    complete: bool  # whether the plex can be brought back to it
    lacking: tuple[str, ...]  # nodes of the plex that have no such snapshot


@dataclass(frozen=True, slots=True)
class SnapshotsResult:
    plex: str
    snapshots: tuple[SnapshotRow, ...]  # the oldest first


@dataclass(frozen=True, slots=True)
class SnapshotSaveResult:
    plex: str
    snapshot: str  # its name
    nodes: tuple[str, ...]  # that are in it
    seconds: Mapping[str, float]  # "frozen": for which nodes stood still; "all": of the run
    run: str


@dataclass(frozen=True, slots=True)
class SnapshotRestoreResult:
    plex: str
    snapshot: str  # its name
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "restored", "api", "nodes", "dns", "pods", "all": in the run
    run: str


@dataclass(frozen=True, slots=True)
class SnapshotExportResult:
    plex: str
    snapshot: str
    file: Path
    nodes: tuple[str, ...]
    size: int  # bytes of all disks
    seconds: Mapping[str, float]  # "all"
    run: str


@dataclass(frozen=True, slots=True)
class SnapshotImportResult:
    plex: str
    snapshot: str  # its name in this lab
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "restored", "api", "nodes", "dns", "pods", "all"
    run: str


@dataclass(frozen=True, slots=True)
class SnapshotDeleteResult:
    plex: str
    snapshot: str
    nodes: tuple[str, ...]  # whose snapshots were deleted
