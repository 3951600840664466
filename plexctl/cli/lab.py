"""The verbs about the plexes of a lab."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import plex_names
from plexctl.cli.options import Json
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer
from plexctl.render import lab_text, plex_text
from plexctl.results.lab import UseResult
from plexctl.workflow.core import context as contexts
from plexctl.workflow.plex import status


def list_(context: typer.Context, json: Json = False) -> None:
    """List the plexes of the lab."""
    with lab(context, quiet=True) as ctx:
        result = status.list_plexes(ctx)
    answer(result, plex_text.plexes, json)


def use(
    context: typer.Context,
    plex: Annotated[
        str,
        typer.Argument(metavar="PLEX", help="The new current plex.", autocompletion=plex_names),
    ],
    json: Json = False,
) -> None:
    """Choose the current plex. Commands without a plex work on the current plex."""
    with lab(context, quiet=True) as ctx:
        result = UseResult(contexts.use_plex(ctx, plex).name)
    answer(result, lab_text.use, json)
