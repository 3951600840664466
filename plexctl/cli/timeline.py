"""The verb `timeline`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import plex_names, run_names
from plexctl.cli.options import Json
from plexctl.cli.session import cache, directory, lab
from plexctl.cli.terminal import answer
from plexctl.config import load
from plexctl.errors import PlexError, UsageError
from plexctl.observe.timeline import Timeline
from plexctl.render import timeline_html, timeline_svg, timeline_text
from plexctl.workflow.core import context as contexts
from plexctl.workflow.plex import timeline as runs


def timeline(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run, or a part of its name; default: the last run.",
            autocompletion=run_names,
            show_default=False,
        ),
    ] = None,
    plex: Annotated[
        str | None,
        typer.Option(
            "--plex",
            metavar="PLEX",
            help="Only runs on this plex; default: the current plex, if there is one.",
            autocompletion=plex_names,
        ),
    ] = None,
    all_runs: Annotated[bool, typer.Option("--list", help="List the runs.")] = False,
    inside: Annotated[
        bool | None,
        typer.Option(
            "--inside/--recorded",
            help="Read times of units and containers from the nodes again, or never; default: "
            "once, while the nodes exist.",
            show_default=False,
        ),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture to this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the time that each step and node of a run took.

    The first `timeline` of a run also reads times of units and containers from its nodes, and
    stores them with the run.
    """
    state = load.find_lab(directory(context)) / ".plexctl"
    if all_runs:
        if run or inside or svg or html:
            raise UsageError("--list can only be used with --plex and --json")
        answer(runs.list_runs(state, plex), timeline_text.runs_text, json)
        return
    journal = runs.find_run(state, run, plex)
    found = runs.read_run(journal)
    if inside or (inside is None and runs.has_unread_details(journal, found)):
        found = _with_nodes(context, journal, found, required=bool(inside))
    if svg:
        _write(svg, timeline_svg.svg_text(found))
    if html:
        _write(html, timeline_html.html_text(found))
    if json or not (svg or html):
        answer(found, timeline_text.timeline_text, json)


def _with_nodes(
    context: typer.Context, journal: Path, found: Timeline, *, required: bool
) -> Timeline:
    """Add times from inside of the nodes. PlexError if `required`; else a note if that fails."""
    if required:
        with lab(context, quiet=True) as ctx:
            return runs.read_nodes(ctx, journal)
    try:  # without `ask`: an optional part of the answer is no reason to ask for a passphrase
        ctx = contexts.open_lab(
            load.find_lab(directory(context)), cache=cache(), listener=lambda event: None
        )
        return runs.read_nodes(ctx, journal)
    except PlexError as error:
        note = f"{error.summary}: times inside of nodes are left out"
        return replace(found, notes=(*found.notes, note))


def _write(file: Path, content: str) -> None:
    try:
        file.write_text(content)
    except OSError as error:
        raise PlexError(f"{file} cannot be written: {error.strerror}") from error
