"""Results of commands about images and the depot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageRow:
    type: str
    host: str
    kubernetes: str
    name: str
    changed: bool


@dataclass(frozen=True, slots=True)
class BakeResult:
    images: tuple[ImageRow, ...]
    pruned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotRow:
    """A component of the depot."""

    component: str
    version: str
    source: str  # "release", "gobuild" or "dir"
    artifacts: int
    size: int  # bytes
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotResult:
    folder: Path
    components: tuple[DepotRow, ...]


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A file of the depot that has changed or is missing."""

    component: str
    version: str
    name: str
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
