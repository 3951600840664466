"""Verbs about plexes that are kept elsewhere: read from there, and told to there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json
from plexctl.cli.session import directory, say
from plexctl.errors import UsageError

import_ = typer.Typer(no_args_is_help=True, help="Write plexes that another tool's file describes.")
export = typer.Typer(no_args_is_help=True, help="Print the lab's plexes for another tool.")


@import_.callback()
def _import() -> None:
    """Write plexes that another tool's file describes."""


@export.callback()
def _export() -> None:
    """Print the lab's plexes for another tool."""


@import_.command("plexhocs")
def import_plexhocs(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A tfvars file, in HCL or JSON; - is stdin.")
    ],
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            metavar="OLD=NEW",
            help="What the lab calls a base of the file. May be given again.",
            show_default=False,
        ),
    ] = None,
    renumber: Annotated[
        bool, typer.Option("--renumber", help="Close gaps between the numbers of nodes.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a plex for each host of the map `plexhocs`: host, base, type, nodes.

    Nothing that is there is changed.
    """
    import sys

    from plexctl.config.load import find_lab
    from plexctl.config.plexhocs import parse
    from plexctl.render.errors import shown_path
    from plexctl.render.json import document_text
    from plexctl.workflow.lab import plexhocs

    names = dict(map(_renaming, base or ()))
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    root = find_lab(directory(context))
    done = plexhocs.import_(root, parse(text, str(file)), names, renumber=renumber)
    if json:
        written = [str(path) for path in done.written]
        say(document_text({"written": written, "unchanged": list(done.unchanged)}))
        return
    lines = [f"wrote {shown_path(path)}" for path in done.written]
    say("\n".join((*lines, *(f"unchanged: {name}" for name in done.unchanged))))


@export.command("plexhocs")
def export_plexhocs(context: typer.Context, json: Json = False) -> None:
    """Print the lab's plexes as the map `plexhocs` of a tfvars file, in HCL."""
    from plexctl.config.load import find_lab
    from plexctl.config.plexhocs import as_hcl, as_json
    from plexctl.workflow.lab import plexhocs

    found = plexhocs.export(find_lab(directory(context)))
    say(as_json(found) if json else as_hcl(found))


def _renaming(words: str) -> tuple[str, str]:
    old, sign, new = words.partition("=")
    if not (old and sign and new):
        raise UsageError(f"--base {words}: must be OLD=NEW")
    return old, new
