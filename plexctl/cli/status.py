"""The verb `status`."""

from __future__ import annotations

import typer

from plexctl.cli.options import Json, PlexArgument
from plexctl.cli.session import lab, prefetch
from plexctl.cli.terminal import answer, end
from plexctl.errors import ExitCode
from plexctl.provision.read import read_hosts
from plexctl.render import plex_text
from plexctl.workflow.core.context import find_plex
from plexctl.workflow.plex import status as plex_status


def status(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Show the state of a plex and its nodes. Ends with code 1 if it is not healthy."""
    prefetcher = prefetch(context)
    with lab(context, quiet=True) as ctx:
        chosen = find_plex(ctx, plex)
        hosts = prefetcher.ask(read_hosts, dict(ctx.hosts), chosen.hosts)
        result = plex_status.status(ctx, chosen, hosts, prefetcher)
    answer(result, plex_text.status, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)
