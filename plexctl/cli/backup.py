"""The verbs about backups of a plex."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, OfPlex, PlexArgument, Quiet, Verbose, Yes
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, confirm, hidden
from plexctl.errors import UsageError
from plexctl.model.secret import Secret
from plexctl.render import backups_text
from plexctl.workflow.backups import keys, save, stored


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
    if file == Path("list"):
        raise UsageError("`plexctl backups list` lists backups", hint="for a file: ./list")
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        chosen = find_plex(ctx, plex)
        if there := save.exists(file):
            confirm(f"{file} will be replaced", yes)
        result = save.backup(ctx, chosen, file, replace=there)
    answer(result, backups_text.backup, json)


def list_(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """List the backups that masters write by themselves."""
    with lab(context, quiet=True) as ctx:
        result = stored.list_backups(ctx, find_plex(ctx, plex))
    answer(result, backups_text.backups, json)


def key(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Store the keys of the bucket for backups.

    Reads two lines from standard input, the access key and the secret key, and encrypts them.
    """
    with lab(context, quiet=True) as ctx:
        chosen = find_plex(ctx, plex)
        result = keys.store_key(ctx, chosen, _both())
    answer(result, backups_text.key, json)


def _both() -> Secret:
    """The two lines, also where they are typed."""
    first, second = hidden("Access key: "), hidden("Secret key: ")
    return Secret(first.reveal() + b"\n" + second.reveal())
