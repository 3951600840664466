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
