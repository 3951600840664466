"""Verbs about a whole plex."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, NoDrain, NoWait, PlexArgument, Quiet, Verbose, Yes
from plexctl.cli.session import answer, answer_up, confirm, end, lab, say
from plexctl.errors import ExitCode
from plexctl.model.kinds import ProvisionEngine


def plan(
    context: typer.Context,
    plex: PlexArgument = None,
    tofu: Annotated[
        bool,
        typer.Option("--tofu", help="Show it as OpenTofu does, where that makes the plex."),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what `up` would do. Ends with code 3 if there is something to do."""
    from plexctl.workflow.core.prefetch import prefetcher

    with prefetcher() as messages, lab(context, quiet=quiet) as ctx:
        from plexctl.provision.read import read_hosts
        from plexctl.workflow.core.context import find_plex

        chosen = find_plex(ctx, plex)
        hosts = messages.ask(read_hosts, dict(ctx.hosts), tuple(ctx.hosts))
        from plexctl.workflow.plex import plan as planning

        result = planning.plan(ctx, chosen, hosts, shown=tofu or json)
    if tofu and result.tofu and not json:
        say(result.tofu.text)
    else:
        answer(result, json)
    end(ExitCode.DONE if result.nothing else ExitCode.CHANGES)


def up(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring a plex to what its files say.

    Bakes images that are missing; a second run changes nothing.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.plex import verbs

        result = verbs.up(ctx, find_plex(ctx, plex), drain=not no_drain, wait=not no_wait)
    answer_up(result, json)


def scale(
    context: typer.Context,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="How many workers it shall have.")
    ],
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Change how many workers a plex has.

    In its file first, then in reality.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.plex import verbs

        chosen = find_plex(ctx, plex)
        if workers < chosen.workers:
            confirm(f"the workers of {chosen.name} go from {chosen.workers} to {workers}", yes)
        result = verbs.scale(ctx, chosen, workers, drain=not no_drain, wait=not no_wait)
    answer_up(result, json)


def status(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Show how a plex is. Ends with code 1 if not all is well."""
    from plexctl.workflow.core.prefetch import prefetcher

    with prefetcher() as messages, lab(context, quiet=True) as ctx:
        from plexctl.provision.read import read_hosts
        from plexctl.workflow.core.context import find_plex

        chosen = find_plex(ctx, plex)
        hosts = messages.ask(read_hosts, dict(ctx.hosts), chosen.hosts)
        from plexctl.workflow.plex import status as plex_status

        result = plex_status.status(ctx, chosen, hosts, messages)
    answer(result, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


def engine(
    context: typer.Context,
    chosen: Annotated[ProvisionEngine, typer.Argument(metavar="direct|tofu")],
    plex: PlexArgument = None,
    key: Annotated[bool, typer.Option("--key", hidden=True)] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Have plexctl itself or OpenTofu make the objects of a plex. No node is made anew."""
    with lab(context, quiet=quiet or key, verbose=verbose) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.plex import verbs

        if key:  # OpenTofu asks, which somebody has called by hand
            from plexctl.workflow.plex.engines import state_key

            say(state_key(ctx, find_plex(ctx, plex).name))
            return
        result = verbs.engine(ctx, find_plex(ctx, plex), chosen)
    answer(result, json)


def destroy(
    context: typer.Context,
    plex: PlexArgument = None,
    images: Annotated[
        bool, typer.Option("--images", help="Remove images too that no plex uses.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove all that was made for a plex.

    Its files stay, and `up` brings it back with the same names, addresses and keys.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.plex import verbs
        from plexctl.workflow.plex.lookup import removable_plex

        name = removable_plex(ctx, plex)
        confirm(f"all of plex {name} will be removed", yes)
        result = verbs.destroy(ctx, name, images=images)
    answer(result, json)
