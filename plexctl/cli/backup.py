"""The verbs about backups of a plex."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, OfPlex, Quiet, Verbose, Yes
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, confirm
from plexctl.render import backups_text
from plexctl.workflow.backups import save


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    plex: OfPlex = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the objects of a cluster to a file.

    The file has the contents of etcd, with all Secrets. Only a lab with the same seed can read it:
    `plexctl up --restore FILE` creates the cluster again from it. The data of pods is not in it.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        chosen = find_plex(ctx, plex)
        if there := save.exists(file):
            confirm(f"{file} will be replaced", yes)
        result = save.backup(ctx, chosen, file, replace=there)
    answer(result, backups_text.backup, json)
