"""The verb `upgrade`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, NoDrain, PlexArgument, Quiet, Verbose, Yes
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, confirm, end
from plexctl.errors import ExitCode
from plexctl.render import upgrade_text
from plexctl.workflow.snapshots import save as saving
from plexctl.workflow.upgrade import upgrade as upgrading


def upgrade(
    context: typer.Context,
    plex: PlexArgument = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="VERSION",
            help="The version of Kubernetes, for example 1.36: it is written into the plex file.",
        ),
    ] = None,
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel", metavar="NUMBER", min=1, help="Workers that are replaced at once."
        ),
    ] = 1,
    no_rollback: Annotated[
        bool,
        typer.Option("--no-rollback", help="Leave a failed upgrade as it is until the next run."),
    ] = False,
    no_drain: NoDrain = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Replace the nodes of a plex, and keep its cluster's state.

    It goes to another version of Kubernetes, or applies whatever has changed in the files. Masters
    come first, then the workers, which are drained. If anything fails, the plex is as before again.
    -y agrees to lose pods without a controller, and to go on though clients have used APIs that the
    new version lacks.
    """
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        chosen = find_plex(ctx, plex)
        for loss in saving.copying_hosts(ctx, chosen):
            confirm(loss, yes)
        options = upgrading.UpgradeOptions(
            to=to, parallel=parallel, drain=not no_drain, agreed=yes, rollback=not no_rollback
        )
        result = upgrading.upgrade(ctx, chosen, options)
    answer(result, upgrade_text.upgrade, json)
    end(ExitCode.FAILED if result.apps and result.apps.failures else ExitCode.DONE)
