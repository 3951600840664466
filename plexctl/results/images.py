"""Results of commands about images and the depot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageRow:
    type: str
    host: str
    kubernetes: str  # its version of Kubernetes
    name: str
    changed: bool  # whether it was baked now


@dataclass(frozen=True, slots=True)
class BakeResult:
    images: tuple[ImageRow, ...]
    pruned: tuple[str, ...]  # images that were deleted


@dataclass(frozen=True, slots=True)
class DepotRow:
    """A component of the depot."""

    component: str
    version: str
    source: str  # "release", "gobuild" or "dir"
    artifacts: int  # number of files
    size: int  # bytes
    notes: tuple[str, ...]  # what it lacks, for example


@dataclass(frozen=True, slots=True)
class DepotResult:
    folder: Path  # of the depot
    components: tuple[DepotRow, ...]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of Kubernetes that plexes may have."""

    version: str  # "1.36.3"
    released: bool  # whether its programs can be downloaded and verified on this machine
    stored: bool  # whether the depot has its programs and images
    source: str  # of the stored programs: "release", "gobuild", "dir" or ""
    recorded: bool  # whether plexctl knows what its clusters start with, without a recording
    plexes: tuple[str, ...]  # plexes of the lab that have it


@dataclass(frozen=True, slots=True)
class VersionsResult:
    default: str  # of a plex whose file names no version
    versions: tuple[VersionRow, ...]  # the newest first


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A file of the depot that has changed or is missing."""

    component: str
    version: str
    name: str  # of the file
    expected: str  # SHA-256 in hex
    found: str  # the same, or "nothing"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    checked: int  # components, including the damaged ones
    damaged: tuple[DamagedRow, ...]


@dataclass(frozen=True, slots=True)
class PruneResult:
    components: tuple[str, ...]  # "kubernetes 1.35.4"
    freed: int  # bytes
    kept: tuple[str, ...] = ()  # those that only other labs of the user need
    recordings: tuple[str, ...] = ()  # deleted: no lab has used them for 30 days
