"""Complete or undo what a killed run of phases has left of a plex."""

from __future__ import annotations

from plexctl.model.folder import Folder
from plexctl.model.plex import Plex
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import UP_RESTORE, Phases, Work
from plexctl.workflow.core.run import Run
from plexctl.workflow.snapshots.copies import delete_temporary
from plexctl.workflow.snapshots.imports import undo
from plexctl.workflow.snapshots.members import Members, find_members
from plexctl.workflow.snapshots.restore import bring_back
from plexctl.workflow.snapshots.save import delete_parts, thaw


def complete(ctx: Context, folder: Folder, work: Work, plex: str, run: Run, *, ends: bool) -> None:
    """Undo a save, an export or an import, or complete a restore.

    The hosts do nothing for the killed run any more, but what `delete_temporary` waits for.

    The nodes in `work` are the ones that it froze: it found them running, and wrote their names to
    the disk before. Nodes that somebody else has frozen stay so. With `ends` the plex is about to
    be deleted: nothing is completed.
    """
    if work.verb == "upgrade":
        from plexctl.workflow.upgrade.unfinished import complete_upgrade

        complete_upgrade(ctx, folder, work, plex, run, ends=ends)
        return
    if work.verb == UP_RESTORE and not ends:
        return
    phases = Phases(run, folder)
    if plex in ctx.lab.plexes and not (ends and work.verb == "restore"):
        members = find_members(ctx, ctx.lab.plexes[plex])
        match work.verb:
            case "save":
                _undo_save(phases, members, work, run)
            case "restore":
                _complete_restore(ctx, members, work, run)
            case "export":
                _undo_export(ctx, phases, members.plex, work, run)
            case "import":
                _undo_import(ctx, phases, members.plex, work, run)
    phases.end()


def _undo_save(phases: Phases, members: Members, work: Work, run: Run) -> None:
    run.note(f"the save {work.run} was interrupted: its nodes are thawed, its snapshot is deleted")
    with phases.phase("thaw", f"thaw {len(work.nodes)} nodes"):
        thaw(members.named(work.nodes))
    with phases.phase("undo", "delete the incomplete snapshot"):
        delete_parts(members.all, work.snapshot)
    phases.undone("snapshot")


def _complete_restore(ctx: Context, members: Members, work: Work, run: Run) -> None:
    """Begin again: nodes that were restored already are restored again, in less than a second."""
    run.note(f"the restore {work.run} was interrupted: it is completed first")
    bring_back(ctx, members, work.snapshot, run)


def _undo_export(ctx: Context, phases: Phases, plex: Plex, work: Work, run: Run) -> None:
    run.note(f"the export {work.run} was interrupted: its temporary image is deleted")
    with phases.phase("undo", "delete the temporary image"):
        delete_temporary(ctx, plex.hosts, work.run)


def _undo_import(ctx: Context, phases: Phases, plex: Plex, work: Work, run: Run) -> None:
    """Delete its nodes: none was started, and the rest is only in the file."""
    run.note(f"the import {work.run} was interrupted: its incomplete nodes are deleted")
    with phases.phase("undo", "delete the incomplete nodes"):
        undo(ctx, plex, work, run)
