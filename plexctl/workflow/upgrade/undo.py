"""The end of an upgrade: the old nodes are deleted, or they are brought back."""

from __future__ import annotations

from dataclasses import replace

from plexctl.config.edit import set_field
from plexctl.errors import PlexError
from plexctl.model.kept import KEPT, original_name
from plexctl.model.plex import Plex
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work, unfinished_work
from plexctl.workflow.snapshots.members import Member, find_members, on_all
from plexctl.workflow.snapshots.restore import bring_back
from plexctl.workflow.snapshots.save import delete_parts, thaw
from plexctl.workflow.upgrade.version import FIELD, reloaded

FILES, NODES, NEW = "files", "nodes", "new"
"""How far an upgrade is: nothing of a node has changed; nodes are replaced; all are new."""


def delete_old(ctx: Context, plex: Plex, work: Work, phases: Phases) -> None:
    """Delete the old nodes and the snapshot of an upgrade that has replaced all nodes."""
    with phases.phase("cleanup", "delete the old nodes and the snapshot"):
        found = find_members(ctx, plex, kept=True).all
        old = [one for one in found if _is_old(one, work)]
        on_all(old, lambda one: one.host.delete_instance(one.name, running=False))
        delete_parts([one for one in found if one not in old], work.snapshot)
    phases.end()


def put_back_version(ctx: Context, plex: Plex, work: Work) -> tuple[Context, Plex, bool]:
    """Write the version of before into the plex file; the lab with it, and whether it differed."""
    if not work.kubernetes:
        return ctx, plex, False
    changed = set_field(ctx.lab.root, plex.file, FIELD, work.kubernetes)
    return (*reloaded(ctx, plex.name), changed)


def undo(ctx: Context, plex: Plex, work: Work, phases: Phases) -> dict[str, float]:
    """Bring back what an upgrade has changed: nodes, files and the snapshot.

    Safe to repeat from the beginning. `plex` is that of before.
    """
    if work.reached == FILES:
        everyone = find_members(ctx, plex).all
        with phases.phase("undo", "delete the snapshot of the upgrade"):
            thaw([one for one in everyone if one.name in work.nodes])
            delete_parts(everyone, work.snapshot)
        phases.end()
        return {}
    with phases.phase("old nodes", "bring the old nodes back") as step:
        found = find_members(ctx, plex, kept=True).all
        new = [one for one in found if _is_new(one, work)]
        step.progress(f"delete {len(new)} new nodes")
        on_all(new, lambda one: one.host.delete_instance(one.name))
        on_all([one for one in found if _is_old(one, work)], _rename)
    there = find_members(ctx, plex, kept=True)
    members = replace(there, all=there.named(work.nodes))
    if lacking := [name for name in work.nodes if name not in members.names]:
        raise PlexError(
            f"the upgrade of {plex.name} cannot be undone: {', '.join(lacking)} are gone",
            details=(f"snapshot {work.snapshot} on the hosts has the other nodes",),
            hint="somebody has deleted them meanwhile; `plexctl destroy` and `plexctl up` begin"
            " a new cluster",
        )
    try:
        return bring_back(ctx, members, work.snapshot, phases.run, work)
    finally:
        if unfinished_work(phases.folder) is None:  # all disks are restored
            delete_parts(members.all, work.snapshot)
            phases.undone("masters")


def _is_old(one: Member, work: Work) -> bool:
    """Whether a node is one that the upgrade keeps. It has that tag until it is restored."""
    return one.observed.tags.get(KEPT) == work.run


def _is_new(one: Member, work: Work) -> bool:
    return one.observed.tags.get("run") == work.run and not _is_old(one, work)


def _rename(old: Member) -> None:
    """Give an old node its name again. A run that was killed may not have renamed it yet."""
    name = original_name(old.name)
    if name != old.name:
        old.host.keeper.bring_back(name)
