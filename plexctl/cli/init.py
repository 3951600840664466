"""The verb `init`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import app_names
from plexctl.cli.options import Json
from plexctl.cli.session import directory
from plexctl.cli.terminal import answer, new_passphrase
from plexctl.config import load
from plexctl.errors import UsageError
from plexctl.render import lab_text
from plexctl.workflow.lab import init as first


def init(
    context: typer.Context,
    plex: Annotated[
        str | None,
        typer.Argument(
            metavar="PLEX",
            help="A new plex; default: the first plex of the lab, or demo.",
            show_default=False,
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase", help="Encrypt the seed with a passphrase instead of your key."
        ),
    ] = False,
    gitops: Annotated[
        bool, typer.Option("--gitops", help="Deploy apps with Flux, hello-world first.")
    ] = False,
    app: Annotated[
        list[str] | None,
        typer.Option(
            "--app",
            metavar="APP",
            help="With --gitops: write this app too. May be repeated.",
            show_default=False,
            autocompletion=app_names,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the first files of a lab or of a plex.

    The lab is the current folder, or the folder of -C. Existing files are not changed.
    """
    if app and not gitops:
        raise UsageError("--app needs --gitops")
    lock = new_passphrase() if passphrase else None
    root = load.whole_path(directory(context))
    answer(first.init(root, plex, lock, gitops=gitops, apps=app or ()), lab_text.init, json)
