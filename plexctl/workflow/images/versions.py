"""The versions of Kubernetes: those that are pinned, stored in the depot, and used by plexes."""

from __future__ import annotations

from plexctl.depot.components import KubernetesRelease
from plexctl.depot.pins import IMAGES, KUBERNETES
from plexctl.plan.genesis.recording import committed
from plexctl.results.images import VersionRow, VersionsResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import stored_components


def versions(ctx: Context) -> VersionsResult:
    """All pinned versions, the newest first. Calls no host, and reads no program of the depot."""
    rows = tuple(_row(ctx, release) for release in ctx.pins.releases)
    return VersionsResult(rows[0].version, rows)


def _row(ctx: Context, release: KubernetesRelease) -> VersionRow:
    stored = stored_components(ctx, release, (KUBERNETES, IMAGES))
    plexes = (plex.name for plex in ctx.lab.plexes.values() if plex.kubernetes == release.version)
    return VersionRow(
        version=release.version,
        released=release.component(KUBERNETES).release is not None,
        stored=stored is not None,
        source=str(stored[KUBERNETES].source) if stored else "",
        recorded=committed(release.version) is not None,
        plexes=tuple(plexes),
    )
