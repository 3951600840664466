"""Verbs about what nodes are made of: the depot and images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import type_names
from plexctl.cli.options import Json, Quiet, Verbose
from plexctl.cli.session import answer, end, lab
from plexctl.errors import ExitCode, UsageError

depot = typer.Typer(no_args_is_help=True, help="Keep what nodes are made of, verified.")


@depot.command()
def fill(
    context: typer.Context,
    carried: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take what this folder has.")
    ] = None,
    allowed: Annotated[
        list[str] | None,
        typer.Option(
            "--source", help="Ask only this source: dir, release or gobuild. May be repeated."
        ),
    ] = None,
    mirrors: Annotated[
        list[str] | None,
        typer.Option(
            "--mirror",
            metavar="URL=URL",
            help="Fetch what begins with the first from the second. May be repeated.",
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Certificates to trust instead of the usual ones.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have all that plexes of the lab need; what is there is verified."""
    with lab(context, quiet=quiet) as ctx:
        from plexctl.depot.sources import SourceName, Sources
        from plexctl.workflow.images import depot

        try:
            names = tuple(map(SourceName, allowed or SourceName))
        except ValueError as error:
            raise UsageError(str(error), hint=f"there are {', '.join(SourceName)}") from error
        rewrites = tuple(map(_rewrite, mirrors or ()))
        lock = ctx.lab.root / "depot.lock"
        result = depot.fill(ctx, Sources(carried, lock, rewrites, ca, names))
    answer(result, json)


@depot.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """Show what the depot has."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.images import depot

        result = depot.contents(ctx)
    answer(result, json)


@depot.command()
def verify(context: typer.Context, json: Json = False, quiet: Quiet = False) -> None:
    """Read every byte of the depot. Ends with code 1 if some are damaged."""
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.images import depot

        result = depot.verify(ctx)
    answer(result, json)
    end(ExitCode.FAILED if result.damaged else ExitCode.DONE)


@depot.command()
def prune(context: typer.Context, json: Json = False) -> None:
    """Remove what no supported version of Kubernetes needs."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.images import depot

        result = depot.prune(ctx)
    answer(result, json)


def bake(
    context: typer.Context,
    types: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TYPE]...",
            help="Types of nodes; default: all that plexes have.",
            autocompletion=type_names,
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove images that nothing uses any more.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bake the images of nodes.

    What is baked already costs a look. Fills the depot as needed.
    """
    from plexctl.workflow.core.prefetch import prefetcher

    with prefetcher() as messages, lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.provision.read import read_hosts

        hosts = messages.ask(read_hosts, dict(ctx.hosts), tuple(ctx.hosts))
        from plexctl.workflow.images import bake

        result = bake.bake(ctx, tuple(types or ()), hosts, prune=prune)
    answer(result, json)


def _rewrite(mirror: str) -> tuple[str, str]:
    old, sign, new = mirror.partition("=")
    if not (old and sign and new):
        raise UsageError(f"--mirror {mirror}: must be URL=URL")
    return old, new
