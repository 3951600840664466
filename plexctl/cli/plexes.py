"""The verbs that change a plex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from plexctl.cli.complete import node_names
from plexctl.cli.options import (
    Json,
    NoDrain,
    NoWait,
    PlexArgument,
    PlexOption,
    Quiet,
    Verbose,
    Yes,
)
from plexctl.cli.session import find_plex, lab, one_plex
from plexctl.cli.terminal import answer, confirm, end, say
from plexctl.errors import ExitCode
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import node_name
from plexctl.render import plex_text
from plexctl.results.up import UpResult
from plexctl.workflow.plex import engines, lookup, verbs

if TYPE_CHECKING:
    from plexctl.model.backup import Backup
    from plexctl.model.plex import Plex
    from plexctl.workflow.core.context import Context


def up(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    restore: Annotated[
        str | None,
        typer.Option(
            "--restore",
            metavar="FILE",
            help="Recreate all nodes, with the cluster of a backup: a file, a name of `plexctl "
            'backups list`, or "latest".',
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Create a plex, or change it to match its configuration.

    Bakes missing images first. A second run changes nothing. If the changes would replace a cluster
    that exists, `up` asks first: `upgrade` keeps its objects and data.
    """
    with one_plex(context, plex, quiet=quiet, verbose=verbose, yes=yes) as (ctx, chosen):
        backup = _agreed(ctx, chosen, restore, yes) if restore else None
        result = verbs.up(
            ctx,
            chosen,
            drain=not no_drain,
            lose_pods=yes,
            lose_cluster=yes,
            wait=not no_wait,
            backup=backup,
        )
    _answer(result, json)


def _agreed(ctx: Context, plex: Plex, named: str, yes: bool) -> Backup:
    """The backup that is named, once the user agrees to lose what the cluster has now."""
    from plexctl.workflow.backups.fit import require_fit
    from plexctl.workflow.backups.stored import find

    backup = find(ctx, plex, named)
    require_fit(plex, ctx.seed.lab_id, backup.manifest)
    confirm(
        f"all nodes of {plex.name} will be recreated with the cluster of"
        f" {backup.manifest.created}: what has changed since then is lost",
        yes,
    )
    return backup


def scale(
    context: typer.Context,
    workers: Annotated[
        int, typer.Option("--workers", metavar="NUMBER", min=0, help="The number of workers.")
    ],
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Change the number of workers of a plex.

    Writes the number into the plex file, then changes the plex.
    """
    with one_plex(context, plex, quiet=quiet, verbose=verbose, yes=yes) as (ctx, chosen):
        if workers < chosen.workers:
            last = node_name(chosen.name, chosen.size)
            first = node_name(chosen.name, chosen.size - chosen.workers + workers + 1)
            names = last if first == last else f"{first} to {last}"
            confirm(f"{names} will be deleted, with all local data", yes)
        result = verbs.scale(
            ctx, chosen, workers, drain=not no_drain, lose_cluster=yes, wait=not no_wait
        )
    _answer(result, json)


def replace(
    context: typer.Context,
    nodes: Annotated[
        list[str],
        typer.Argument(
            metavar="NODE...", help='Nodes, or "master": all masters.', autocompletion=node_names
        ),
    ],
    plex: PlexOption = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Recreate nodes.

    "master" recreates all nodes of the plex: the cluster loses all its objects and data. One of
    several masters is replaced while the others answer. Nodes are drained first. Pods without a
    controller would be lost: -y agrees to that.
    """
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        chosen = lookup.plex_of(ctx, nodes, plex)
        if lookup.has_master(chosen, nodes):
            confirm(
                f"all nodes of {chosen.name} will be recreated: the cluster loses all its objects"
                " and data",
                yes,
            )
        result = verbs.replace(
            ctx,
            chosen,
            nodes,
            drain=not no_drain,
            lose_pods=yes,
            lose_cluster=yes,
            wait=not no_wait,
        )
    _answer(result, json)


def engine(
    context: typer.Context,
    chosen: Annotated[
        ProvisionEngine, typer.Argument(metavar="direct|tofu", help="The new engine.")
    ],
    plex: PlexArgument = None,
    key: Annotated[bool, typer.Option("--key", hidden=True)] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose what creates a plex: plexctl itself or OpenTofu. No node is recreated."""
    with lab(context, quiet=quiet or key, verbose=verbose) as ctx:
        if key:  # OpenTofu calls this, where a user has started it by hand
            say(engines.state_key(ctx, find_plex(ctx, plex).name))
            return
        result = verbs.engine(ctx, find_plex(ctx, plex), chosen)
    answer(result, plex_text.engine, json)


def destroy(
    context: typer.Context,
    plex: PlexArgument = None,
    images: Annotated[bool, typer.Option("--images", help="Delete unused images too.")] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Delete the objects of a plex.

    Its configuration stays: `up` creates the plex again, with the same names, addresses and keys.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        name = lookup.destroyable_plex(ctx, plex)
        confirm(f"all nodes of plex {name} will be deleted, with all data in the cluster", yes)
        result = verbs.destroy(ctx, name, images=images)
    answer(result, plex_text.destroy, json)


def _answer(result: UpResult, as_json: bool) -> None:
    """Print the result; code 1 if an app has failed."""
    answer(result, plex_text.up, as_json)
    end(ExitCode.FAILED if result.apps and result.apps.failures else ExitCode.DONE)
