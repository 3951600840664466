"""The verb `timeline`: where the time of a run went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plexctl.cli.complete import plex_names, run_names
from plexctl.cli.options import Json
from plexctl.cli.session import cache, directory, lab, say
from plexctl.errors import UsageError

if TYPE_CHECKING:
    from plexctl.observe.timeline import Timeline


def timeline(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run, or a part of its name; default: the last one.",
            autocompletion=run_names,
            show_default=False,
        ),
    ] = None,
    plex: Annotated[
        str | None,
        typer.Option("--plex", metavar="PLEX", help="Runs on it.", autocompletion=plex_names),
    ] = None,
    all_runs: Annotated[bool, typer.Option("--list", help="List the runs.")] = False,
    inside: Annotated[
        bool | None,
        typer.Option(
            "--inside/--recorded",
            help="Ask the nodes anew what went on in them, or never; default: once, if they are"
            " there.",
            show_default=False,
        ),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page of it.")
    ] = None,
    json: Json = False,
) -> None:
    """Show where the time of a run went, per step and node.

    Of the last run on the current plex, or in the lab. What only the nodes know is asked of them
    when a run is first looked at, and kept.
    """
    from plexctl.config.load import find_lab
    from plexctl.render.json import json_text
    from plexctl.render.timeline_text import runs_text, timeline_text
    from plexctl.workflow.plex.timeline import find_run, list_runs, read_run, unasked

    state = find_lab(directory(context)) / ".plexctl"
    if all_runs:
        if run or inside or svg or html:
            raise UsageError("--list goes with --plex and --json only")
        runs = list_runs(state, plex)
        say(json_text(runs) if json else runs_text(runs))
        return
    journal = find_run(state, run, plex)
    found = read_run(journal)
    if inside or (inside is None and unasked(journal, found)):
        found = _asked(context, journal, found, must=bool(inside))
    if svg:
        from plexctl.render.timeline_svg import svg_text

        _write(svg, svg_text(found))
    if html:
        from plexctl.render.timeline_html import html_text

        _write(html, html_text(found))
    if json or not (svg or html):
        say(json_text(found) if json else timeline_text(found))


def _asked(context: typer.Context, journal: Path, found: Timeline, *, must: bool) -> Timeline:
    """With what its nodes tell; unless they `must`, as it was found if they cannot be asked."""
    from plexctl.config.load import find_lab
    from plexctl.errors import PlexError
    from plexctl.workflow.core.context import open_lab
    from plexctl.workflow.plex.timeline import ask_nodes

    if must:
        with lab(context, quiet=True) as ctx:
            return ask_nodes(ctx, journal)
    try:  # nobody is asked for a passphrase just for this
        ctx = open_lab(find_lab(directory(context)), cache=cache(), listener=lambda event: None)
        return ask_nodes(ctx, journal)
    except PlexError as error:
        left_out = f"{error.summary}: what went on inside is left out"
        return replace(found, notes=(*found.notes, left_out))


def _write(file: Path, content: str) -> None:
    from plexctl.errors import PlexError

    try:
        file.write_text(content)
    except OSError as error:
        raise PlexError(f"{file} cannot be written: {error.strerror}") from error
