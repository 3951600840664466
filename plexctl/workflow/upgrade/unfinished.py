"""Complete or undo an upgrade that was killed."""

from __future__ import annotations

from plexctl.errors import PlexError
from plexctl.model.folder import Folder
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work
from plexctl.workflow.core.run import Run
from plexctl.workflow.upgrade.undo import FILES, NEW, delete_old, put_back_version, undo


class FilesWentBackError(PlexError):
    """A run has put a plex file back that it has read before."""


def complete_upgrade(
    ctx: Context, folder: Folder, work: Work, name: str, run: Run, *, ends: bool
) -> None:
    """Delete the old nodes if all nodes are new; undo the upgrade if not.

    With `ends` the plex is about to be deleted: only its file is put back. FilesWentBackError if
    the run that calls this knows another version than the plex file has now.
    """
    phases = Phases(run, folder)
    plex = ctx.lab.plexes.get(name)
    if plex is None:
        phases.end()
        return
    if work.reached == NEW:
        run.note(f"the upgrade {work.run} was interrupted: all nodes are new, the rest is deleted")
        if ends:
            phases.end()
        else:
            delete_old(ctx, plex, work, phases)
        return
    run.note(f"the upgrade {work.run} was interrupted: it is undone")
    ctx, plex, changed = put_back_version(ctx, plex, work)
    if ends and work.reached != FILES:
        phases.end()
        return
    undo(ctx, plex, work, phases)
    if changed and not ends:
        raise FilesWentBackError(
            f"the interrupted upgrade of {name} was undone, and {plex.file.name} has the version"
            f" {plex.kubernetes} again",
            hint="run the command again; `plexctl upgrade` begins again",
        )
