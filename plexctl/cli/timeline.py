"""The verb `timeline`: where the time of a run went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import plex_names, run_names
from plexctl.cli.options import Json
from plexctl.cli.session import directory, lab, say
from plexctl.errors import UsageError


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
        bool,
        typer.Option("--inside", help="Ask the nodes what went on in them; it is kept."),
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page of it.")
    ] = None,
    json: Json = False,
) -> None:
    """Show where the time of a run went, per step and node.

    Of the current plex, or of all of the lab. Without --inside the hosts are not asked.
    """
    from plexctl.config.load import find_lab
    from plexctl.render.json import json_text
    from plexctl.render.timeline_text import runs_text, timeline_text
    from plexctl.workflow.timeline import ask_nodes, find_run, list_runs, read_run

    state = find_lab(directory(context)) / ".plexctl"
    if all_runs:
        if run or inside or svg or html:
            raise UsageError("--list goes with --plex and --json only")
        runs = list_runs(state, plex)
        say(json_text(runs) if json else runs_text(runs))
        return
    journal = find_run(state, run, plex)
    if inside:
        with lab(context, quiet=True) as ctx:
            found = ask_nodes(ctx, journal)
    else:
        found = read_run(journal)
    if svg:
        from plexctl.render.timeline_svg import svg_text

        _write(svg, svg_text(found))
    if html:
        from plexctl.render.timeline_html import html_text

        _write(html, html_text(found))
    if json or not (svg or html):
        say(json_text(found) if json else timeline_text(found))


def _write(file: Path, content: str) -> None:
    from plexctl.errors import PlexError

    try:
        file.write_text(content)
    except OSError as error:
        raise PlexError(f"{file} cannot be written: {error.strerror}") from error
