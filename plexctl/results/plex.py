"""Results of other commands about a plex."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.results.changes import ChangeRow


@dataclass(frozen=True, slots=True)
class EngineResult:
    """The engine of a plex, after `plexctl engine`."""

    plex: str
    engine: str  # "direct" or "tofu"
    changed: bool


@dataclass(frozen=True, slots=True)
class LogResult:
    """The last lines of a node's log."""

    node: str
    unit: str | None  # None: all units
    lines: tuple[str, ...]  # the oldest first


@dataclass(frozen=True, slots=True)
class DestroyResult:
    plex: str
    deleted: tuple[ChangeRow, ...]
    images: tuple[str, ...]  # that were deleted, with `--images`
