"""The verbs about snapshots of a plex."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import snapshot_names
from plexctl.cli.options import Json, OfPlex, Quiet, Verbose, Yes
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, confirm
from plexctl.render import snapshots_text
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
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        chosen = find_plex(ctx, plex)
        for loss in saving.copying_hosts(ctx, chosen):
            confirm(loss, yes)
        result = saving.save(ctx, chosen, name)
    answer(result, snapshots_text.save, json)


def list_(context: typer.Context, plex: OfPlex = None, json: Json = False) -> None:
    """List the snapshots of a plex."""
    with lab(context, quiet=True) as ctx:
        result = verbs.list_snapshots(ctx, find_plex(ctx, plex))
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
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        chosen = find_plex(ctx, plex)
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
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        chosen = find_plex(ctx, plex)
        confirm(f"snapshot {name} of {chosen.name} will be deleted", yes)
        result = verbs.delete(ctx, chosen, name)
    answer(result, snapshots_text.delete, json)
