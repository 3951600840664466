"""Results of commands about backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BackupResult:
    plex: str
    file: Path
    created: str  # date and time in UTC, ISO 8601
    kubernetes: str  # version of the cluster
    size: int  # bytes
    seconds: Mapping[str, float]  # "all": of the run
    run: str


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A backup that a master has written by itself."""

    name: str
    created: str  # date and time in UTC, ISO 8601
    age: int  # seconds
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class BackupsResult:
    plex: str
    to: str  # where they are: a folder of the masters, or s3://bucket/prefix
    backups: tuple[BackupRow, ...]  # the oldest first
    late: bool  # whether the last one is older than twice the time between two


@dataclass(frozen=True, slots=True)
class BackupKeyResult:
    plex: str
    file: Path  # encrypted for the lab
    changed: bool
