"""The verb `plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, PlexArgument, Quiet
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, end, say
from plexctl.errors import ExitCode, UsageError, visible
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
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Show the steps of `upgrade` instead.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="With --upgrade: the version to go to."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what `up` would change. Ends with code 3 if there are changes.

    Code 1: there are none on the hosts that answer, and another host of the plex does not.
    """
    if to is not None and not upgrade:
        raise UsageError("--to is an option of `plan --upgrade`", hint="add --upgrade")
    if upgrade:
        _upgrade(context, plex, to, json=json, quiet=quiet)
        return
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


def _upgrade(
    context: typer.Context, plex: str | None, to: str | None, *, json: bool, quiet: bool
) -> None:
    """Show the steps of an upgrade."""
    from plexctl.render import upgrade_text
    from plexctl.workflow.upgrade.upgrade import UpgradeOptions, upgrade_steps

    with lab(context, quiet=quiet) as ctx:
        chosen = find_plex(ctx, plex)
        states = ctx.engine.read(ctx.hosts)
        result = upgrade_steps(ctx, chosen, states, UpgradeOptions(to=to))
    answer(result, upgrade_text.steps, json)
    end(ExitCode.CHANGES if result.steps else ExitCode.DONE)
