"""Results of commands about the lab's registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.results.changes import ChangeRow

ANSWERS = "answers"


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The lab's registry on one host."""

    host: str
    instance: str  # "Running", "Stopped", "missing", "unknown"
    api: str  # "answers", or the reason why it does not
    used: int | None  # bytes; None: unknown


@dataclass(frozen=True, slots=True)
class RegistryResult:
    registry: str  # its name
    endpoint: str  # address:port
    healthy: bool  # on all hosts
    upstreams: Mapping[str, str]  # name in image references -> URL
    hosts: tuple[RegistryRow, ...]
    repositories: tuple[str, ...]  # of pushed artifacts


@dataclass(frozen=True, slots=True)
class RegistryUpResult:
    registry: str  # its name
    endpoint: str  # address:port
    changes: tuple[ChangeRow, ...]
    run: str
