"""The verbs that import plexes from a tfvars file, and export them to one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json
from plexctl.cli.session import directory
from plexctl.cli.terminal import answer, say
from plexctl.config import bounded, load
from plexctl.config import plexhocs as tfvars
from plexctl.errors import UsageError
from plexctl.render import lab_text
from plexctl.workflow.lab import plexhocs


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
            help="Replace the name of a base in the file by the lab's name. May be repeated.",
            show_default=False,
        ),
    ] = None,
    renumber: Annotated[
        bool, typer.Option("--renumber", help="Renumber nodes where numbers are missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a plex for each host of the map `plexhocs`.

    The map is indexed by host, base and type, and lists numbers of nodes. Existing files are not
    changed.
    """
    names = dict(map(_renaming, base or ()))
    text = bounded.read_given(Path("/dev/stdin") if str(file) == "-" else file, bounded.MOST_BYTES)
    root = load.find_lab(directory(context))
    result = plexhocs.import_(root, tfvars.parse(text, str(file)), names, renumber=renumber)
    answer(result, lab_text.imported, json)


def export_plexhocs(context: typer.Context, json: Json = False) -> None:
    """Print the lab's plexes as the map `plexhocs`, in HCL. The map is part of a tfvars file."""
    found = plexhocs.export(load.find_lab(directory(context)))
    say(tfvars.as_json(found) if json else tfvars.as_hcl(found))


def _renaming(option: str) -> tuple[str, str]:
    old, sign, new = option.partition("=")
    if not (old and sign and new):
        raise UsageError(f"--base {option}: must be OLD=NEW")
    return old, new
