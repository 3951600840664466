"""The verbs about the depot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, Quiet, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, end
from plexctl.depot import components, sources
from plexctl.errors import ExitCode, UsageError
from plexctl.render import images_text
from plexctl.workflow.images import depot


def fill(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Take files from this folder first."),
    ] = None,
    allowed: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="Use only this source: dir, release or gobuild. May be repeated.",
        ),
    ] = None,
    mirrors: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror",
            metavar="URL=URL",
            help="Replace the first URL by the second where a URL begins with it. May be repeated.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="CA certificates; default: the system's."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch and verify everything that the lab needs."""
    with lab(context, quiet=quiet, yes=yes) as ctx:
        try:
            names = tuple(map(components.SourceName, allowed or components.SourceName))
        except ValueError as error:
            raise UsageError(
                str(error), hint=f"sources: {', '.join(components.SourceName)}"
            ) from error
        rewrites = tuple(map(_rewrite, mirrors or ()))
        lock = ctx.lab.root / "depot.lock"
        result = depot.fill(ctx, sources.Sources(folder, lock, rewrites, ca, names))
    answer(result, images_text.depot, json)


def list_(context: typer.Context, json: Json = False) -> None:
    """List the components in the depot."""
    with lab(context, quiet=True) as ctx:
        result = depot.contents(ctx)
    answer(result, images_text.depot, json)


def verify(context: typer.Context, json: Json = False, quiet: Quiet = False) -> None:
    """Check the SHA-256 of every file in the depot.

    Deletes damaged files; the next `fill` fetches them again. Ends with code 1 if there are any.
    """
    with lab(context, quiet=quiet) as ctx:
        result = depot.verify(ctx)
    answer(result, images_text.verify, json)
    end(ExitCode.FAILED if result.damaged else ExitCode.DONE)


def prune(context: typer.Context, json: Json = False) -> None:
    """Delete files that no supported Kubernetes needs."""
    with lab(context, quiet=True) as ctx:
        result = depot.prune(ctx)
    answer(result, images_text.prune, json)


def _rewrite(mirror: str) -> tuple[str, str]:
    old, sign, new = mirror.partition("=")
    if not (old and sign and new):
        raise UsageError(f"--mirror {mirror}: must be URL=URL")
    return old, new
