"""Take a snapshot of a plex: all nodes at one instant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from plexctl.errors import PlexError, UsageError
from plexctl.model.observed import RUNNING
from plexctl.model.plex import Plex
from plexctl.model.snapshots import NAME_RULE, SnapshotName, is_snapshot_name
from plexctl.model.types import Form
from plexctl.results.snapshots import SnapshotSaveResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.plex.engines import settle_or_refuse
from plexctl.workflow.snapshots.members import (
    Member,
    Members,
    find_snapshots,
    on_all,
    require_members,
)
from plexctl.workflow.snapshots.names import store_names

SYNC = ("sync", "--file-system", "/")
SYNC_SECONDS = 120.0


def copying_hosts(ctx: Context, plex: Plex) -> tuple[str, ...]:
    """A clause for each host whose storage copies all files: what a snapshot costs there."""
    found = []
    for name in plex.hosts:
        storage = ctx.hosts[name].snapshots.storage()
        if storage.copies_files:
            found.append(
                f"pool {storage.pool} of host {name} has the driver {storage.driver}, without"
                f" copy-on-write: all nodes of {plex.name} stand still while their files are copied"
            )
    return tuple(found)


def save(ctx: Context, plex: Plex, name: str | None = None) -> SnapshotSaveResult:
    """Take a snapshot of all nodes of `plex`. Its default name is the time."""
    chosen = require_name(name or f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    with start(ctx.lab.state, "save", plex.name, ctx.listener) as run:
        settle_or_refuse(ctx, plex.name, run, "save a snapshot")
        members = require_members(ctx, plex)
        others = [one.id.name for one in find_snapshots(members)]
        if chosen in others:
            raise UsageError(
                f"{plex.name} has a snapshot {chosen} already",
                hint=f"delete it: `plexctl snapshot delete {chosen}`, or choose another name",
            )
        frozen = _save(ctx, members, SnapshotName(chosen, len(members.all)), run)
        store_names(ctx, plex.name, (*others, chosen))
        seconds = {"frozen": frozen, "all": run.seconds()}
        return SnapshotSaveResult(plex.name, chosen, members.names, seconds, run.id)


def require_name(name: str) -> str:
    """`name`. UsageError if no snapshot can have it."""
    if not is_snapshot_name(name):
        raise UsageError(f"{name!r} cannot be the name of a snapshot", hint=f"it has {NAME_RULE}")
    return name


def _save(ctx: Context, members: Members, snapshot: SnapshotName, run: Run) -> float:
    """Take the snapshot; returns the seconds for which nodes were frozen.

    If it fails, or the run is interrupted, nothing of it is left. A run that is killed leaves that
    to the next one.
    """
    phases = Phases(run, ctx.plex_folder(members.plex.name))
    running = [one for one in members.all if one.observed.status == RUNNING]
    # What is written to the disk now need not be written while nodes are frozen.
    write_disks(phases, members, running)
    names = tuple(one.name for one in running)
    phases.begin(Work("save", run.id, snapshot.on_host, names))
    try:
        frozen = take(phases, members, running, snapshot)
    except BaseException:
        delete_parts(members.all, snapshot.on_host)
        phases.undone("snapshot")
        phases.end()
        raise
    phases.end()
    return frozen


def write_disks(phases: Phases, members: Members, running: list[Member]) -> None:
    """Write the file systems of nodes that run to the disk."""
    with phases.phase("sync", "write file systems to the disk"):
        _sync(members, running, phases.run)


def take(phases: Phases, members: Members, running: list[Member], snapshot: SnapshotName) -> float:
    """Take the snapshot while all nodes that run are frozen; returns the seconds of that.

    Nodes are thawed in any case. If it fails, parts of the snapshot may be left.
    """
    began = phases.run.seconds()
    try:
        with phases.phase("freeze", f"freeze {len(running)} nodes"):
            on_all(running, lambda one: one.snapshots.freeze(one.name))
        with phases.phase("snapshot", f"take snapshot {snapshot.name}"):
            on_all(members.all, lambda one: one.snapshots.create(one.name, snapshot.on_host))
    finally:
        with phases.phase("thaw", f"thaw {len(running)} nodes"):
            thaw(running)
    return round(phases.run.seconds() - began, 3)


def thaw(members: Iterable[Member]) -> None:
    on_all(members, lambda one: one.snapshots.thaw(one.name))


def delete_parts(members: Iterable[Member], on_host: str) -> None:
    """Delete a snapshot of all `members` that have it."""
    on_all(members, lambda one: one.snapshots.delete(one.name, on_host))


def _sync(members: Members, running: list[Member], run: Run) -> None:
    """Write file systems to the disk, as far as that goes: no data depends on it.

    The containers of a host share the file system of its pool: one of them writes it all.
    """
    forms = {node.name: node.type.base.form for node in members.planned()}
    chosen, pools = [], set()
    for one in running:
        own = forms.get(one.name) is Form.VM
        if own or one.host.name not in pools:
            chosen.append(one)
        if not own:
            pools.add(one.host.name)
    try:
        on_all(chosen, lambda one: _require(one, SYNC))
    except PlexError as error:
        run.note(f"file systems were not written to the disk first: {error.summary}")


def _require(member: Member, argv: tuple[str, ...]) -> None:
    done = member.host.execute(member.name, argv, timeout=SYNC_SECONDS)
    if done.code:
        raise PlexError(f"{argv[0]} failed on {member.name}: {done.stderr.strip()}")
