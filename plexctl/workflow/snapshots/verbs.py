"""The verbs that list and delete snapshots of a plex."""

from __future__ import annotations

from datetime import UTC, datetime

from plexctl.model.events import Outcome
from plexctl.model.plex import Plex
from plexctl.results.snapshots import SnapshotDeleteResult, SnapshotRow, SnapshotsResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import start
from plexctl.workflow.plex.engines import settle_plex
from plexctl.workflow.snapshots.members import (
    find_members,
    find_snapshots,
    on_all,
    require_snapshot,
)
from plexctl.workflow.snapshots.names import store_names


def list_snapshots(ctx: Context, plex: Plex, *, now: datetime | None = None) -> SnapshotsResult:
    """The snapshots of a plex. UnreachableHostError if a host does not answer."""
    members = find_members(ctx, plex)
    now = now or datetime.now(UTC)
    rows = [
        SnapshotRow(
            one.id.name,
            one.created.isoformat(timespec="seconds"),
            max(0, round((now - one.created).total_seconds())),
            one.size,
            one.id.nodes,
            one.is_complete(members.names),
            one.lacking(members.names),
        )
        for one in find_snapshots(members)
    ]
    store_names(ctx, plex.name, (row.name for row in rows))
    return SnapshotsResult(plex.name, tuple(rows))


def delete(ctx: Context, plex: Plex, name: str) -> SnapshotDeleteResult:
    """Delete a snapshot of a plex, of all nodes that are in it."""
    with start(ctx.lab.state, "delete", plex.name, ctx.listener) as run:
        settle_plex(ctx, plex.name, run)
        members = find_members(ctx, plex)
        snapshot = require_snapshot(members, name)
        with run.step(f"delete snapshot {name}") as step:
            own = members.named(snapshot.parts)
            on_all(own, lambda one: one.snapshots.delete(one.name, snapshot.id.on_host))
            step.end(Outcome.CHANGED)
        store_names(ctx, plex.name, (one.id.name for one in find_snapshots(members)))
        return SnapshotDeleteResult(plex.name, name, tuple(one.name for one in own))
