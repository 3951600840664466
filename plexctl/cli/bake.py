"""The verb `bake`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import type_names
from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer
from plexctl.provision import read
from plexctl.render import images_text
from plexctl.workflow.core import prefetch
from plexctl.workflow.images import bake as baking


def bake(
    context: typer.Context,
    types: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TYPE]...",
            help="Types of nodes; default: all types that plexes use.",
            autocompletion=type_names,
        ),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Delete unused images.")] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bake the images of nodes.

    Skips images that exist, and fills the depot with what is missing. Of a version of Kubernetes
    whose recording plexctl lacks, it records once what a new cluster starts with.
    """
    with (
        prefetch.prefetcher() as prefetcher,
        lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx,
    ):
        hosts = prefetcher.ask(read.read_hosts, dict(ctx.hosts), tuple(ctx.hosts))
        result = baking.bake(ctx, tuple(types or ()), hosts, prune=prune)
    answer(result, images_text.bake, json)
