"""Results of `upgrade`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.results.apps import AppsResult
from plexctl.results.status import NodeRow


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """A plex whose nodes were replaced, with the state of its cluster kept."""

    plex: str
    before: str  # the version of Kubernetes, "1.35.4"
    kubernetes: str  # the version now
    replaced: tuple[str, ...]  # nodes
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "away": without an API; "nodes", "dns", "all": since the start
    run: str
    apps: AppsResult | None = None  # None: the plex has no apps


@dataclass(frozen=True, slots=True)
class UpgradePlanResult:
    """The steps of an upgrade, beforehand."""

    plex: str
    kubernetes: str  # the version that the plex would have
    steps: tuple[str, ...]  # none: no node would be replaced
