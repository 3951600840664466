"""The verbs about snapshots of a plex."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import snapshot_names
from plexctl.cli.options import Json, OfPlex, Quiet, Verbose, Yes
from plexctl.cli.session import lab, one_plex
from plexctl.cli.terminal import answer, confirm
from plexctl.render import snapshots_text
from plexctl.workflow.snapshots import export as exporting
from plexctl.workflow.snapshots import imports as importing
from plexctl.workflow.snapshots import restore as restoring
from plexctl.workflow.snapshots import save as saving
from plexctl.workflow.snapshots import verbs

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The name of the snapshot.", autocompletion=snapshot_names),
]


def save(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Its name; default: the time.", show_default=False),
    ] = None,
    plex: OfPlex = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Take a snapshot of all nodes of a plex.

    The nodes stand still for a moment, so that all disks are of one instant. Where a host's storage
    has no copy-on-write, that is as long as their files are copied: -y agrees to that.
    """
    with one_plex(context, plex, quiet=quiet, verbose=verbose) as (ctx, chosen):
        for loss in saving.copying_hosts(ctx, chosen):
            confirm(loss, yes)
        result = saving.save(ctx, chosen, name)
    answer(result, snapshots_text.save, json)


def list_(context: typer.Context, plex: OfPlex = None, json: Json = False) -> None:
    """List the snapshots of a plex."""
    with one_plex(context, plex, quiet=True) as (ctx, chosen):
        result = verbs.list_snapshots(ctx, chosen)
    answer(result, snapshots_text.snapshots, json)


def restore(
    context: typer.Context,
    name: Name,
    plex: OfPlex = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring all nodes of a plex back to a snapshot.

    What has changed since then is lost: objects, apps, volumes, files of nodes.
    """
    with one_plex(context, plex, quiet=quiet, verbose=verbose) as (ctx, chosen):
        confirm(
            f"all nodes of {chosen.name} go back to snapshot {name}: what has changed since then"
            " is lost",
            yes,
        )
        result = restoring.restore(ctx, chosen, name)
    answer(result, snapshots_text.restore, json)


def delete(
    context: typer.Context,
    name: Name,
    plex: OfPlex = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Delete a snapshot of a plex. The plex itself does not change."""
    with one_plex(context, plex, quiet=quiet, verbose=verbose) as (ctx, chosen):
        confirm(f"snapshot {name} of {chosen.name} will be deleted", yes)
        result = verbs.delete(ctx, chosen, name)
    answer(result, snapshots_text.delete, json)


def export(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, of mode 0600.")],
    plex: OfPlex = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace FILE if it exists.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Copy a snapshot of a plex into one file.

    The file has everything that is on the disks of the nodes: all keys and Secrets of the cluster.
    Anybody who can read it can act as the cluster. The lab's seed is not in it.
    """
    with one_plex(context, plex, quiet=quiet, verbose=verbose) as (ctx, chosen):
        result = exporting.export(ctx, chosen, name, file, replace=yes)
    answer(result, snapshots_text.export, json)


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `snapshot export`.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Its name here; default: as before."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Create a plex from an exported snapshot, and start it.

    The lab must have the seed and the files of the lab that exported it; the plex must not exist.
    Bakes missing images first.
    """
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        result = importing.import_(ctx, file, name)
    answer(result, snapshots_text.restore, json)
