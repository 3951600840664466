"""The verb `plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, PlexArgument, Quiet
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, end, say
from plexctl.errors import ExitCode, visible
from plexctl.provision import read
from plexctl.render import plex_text
from plexctl.workflow.core import prefetch
from plexctl.workflow.plex import plan as planning


def plan(
    context: typer.Context,
    plex: PlexArgument = None,
    tofu: Annotated[
        bool,
        typer.Option("--tofu", help="Show the plan of OpenTofu, for a plex with that engine."),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what `up` would change. Ends with code 3 if there are changes.

    Code 1: there are none on the hosts that answer, and another host of the plex does not.
    """
    with prefetch.prefetcher() as prefetcher, lab(context, quiet=quiet) as ctx:
        chosen = find_plex(ctx, plex)
        hosts = prefetcher.ask(read.read_hosts, dict(ctx.hosts), tuple(ctx.hosts))
        result = planning.plan(ctx, chosen, hosts, shown=tofu or json)
    if tofu and result.tofu and not json:
        say(visible(result.tofu.text))
    else:
        answer(result, plex_text.plan, json)
    unchanged = ExitCode.FAILED if result.unknown else ExitCode.DONE
    end(unchanged if result.empty else ExitCode.CHANGES)
