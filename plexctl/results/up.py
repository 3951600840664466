"""The result of commands that create or change a plex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.results.apps import AppsResult
from plexctl.results.changes import ChangeRow
from plexctl.results.status import NodeRow


@dataclass(frozen=True, slots=True)
class UpResult:
    plex: str
    changes: tuple[ChangeRow, ...]
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "api", "nodes", "dns", "apps", "all": since the run began
    run: str
    kubeconfig: Path  # of the administrator
    apps: AppsResult | None = None  # None: the plex has no apps
