"""Results of commands about recorded runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunRow:
    """Summary of a run."""

    run: str  # its name, for `plexctl timeline`
    began: str  # date and time in UTC, ISO 8601
    verb: str
    plex: str
    ending: str  # "done", "failed", "unfinished"
    seconds: float  # that it took
    nodes: int  # nodes that the run created, started or deleted


@dataclass(frozen=True, slots=True)
class RunsResult:
    runs: tuple[RunRow, ...]  # the oldest first
