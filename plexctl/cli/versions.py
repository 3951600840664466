"""The verb `versions`."""

from __future__ import annotations

import typer

from plexctl.cli.options import Json
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer
from plexctl.render import images_text
from plexctl.workflow.images import versions as workflow


def versions(context: typer.Context, json: Json = False) -> None:
    """List the versions of Kubernetes that plexes may have.

    For each one: where its programs can come from, whether the depot has them, and which plexes of
    the lab have this version.
    """
    with lab(context, quiet=True) as ctx:
        result = workflow.versions(ctx)
    answer(result, images_text.versions, json)
