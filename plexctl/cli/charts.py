"""The verb `render`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import fitting, lab_folder
from plexctl.cli.options import Json, Quiet, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer
from plexctl.errors import PlexError
from plexctl.render import apps_text
from plexctl.workflow.gitops import charts, release_files


def chart_names(context: typer.Context, incomplete: str) -> list[str]:
    """Apps of the lab with a HelmRelease, for completion."""
    try:
        return fitting(release_files.release_files(lab_folder(context)), incomplete)
    except (PlexError, OSError):
        return []


def render(
    context: typer.Context,
    apps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[APP]...",
            help="Apps with a HelmRelease; default: all of them.",
            autocompletion=chart_names,
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Render charts of apps as plain manifests.

    Writes the manifests to apps/APP/rendered; the plex then needs no helm-controller. Fetches
    each chart once, and stores its checksum in depot.lock.
    """
    with lab(context, quiet=quiet, yes=yes) as ctx:
        result = charts.render(ctx, tuple(apps or ()))
    answer(result, apps_text.rendered, json)
