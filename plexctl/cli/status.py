"""The verb `status`."""

from __future__ import annotations

import typer

from plexctl.cli.options import Json, PlexArgument
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, end
from plexctl.errors import ExitCode
from plexctl.provision import read
from plexctl.render import plex_text
from plexctl.workflow.core import prefetch
from plexctl.workflow.plex import status as plex_status


def status(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Show the state of a plex and its nodes. Ends with code 1 if it is not healthy."""
    with prefetch.prefetcher() as prefetcher, lab(context, quiet=True) as ctx:
        chosen = find_plex(ctx, plex)
        hosts = prefetcher.ask(read.read_instances, dict(ctx.hosts), chosen.hosts)
        result = plex_status.status(ctx, chosen, hosts, prefetcher)
    answer(result, plex_text.status, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)
