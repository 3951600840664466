"""The verbs about the lab's registry."""

from __future__ import annotations

import typer

from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, confirm, end
from plexctl.errors import ExitCode
from plexctl.render import plex_text, registry_text
from plexctl.workflow.registry import verbs


def up(
    context: typer.Context, json: Json = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Create the registry, or change it to match its files. `plexctl up` does this too."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        result = verbs.registry_up(ctx)
    answer(result, registry_text.up, json)


def status(context: typer.Context, json: Json = False) -> None:
    """Show the state of the registry. Ends with code 1 if it is not healthy."""
    with lab(context, quiet=True) as ctx:
        result = verbs.registry_status(ctx)
    answer(result, registry_text.status, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


def replace(
    context: typer.Context, json: Json = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Recreate the registry's node. Pushed and cached images are kept."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        result = verbs.registry_up(ctx, replace=True)
    answer(result, registry_text.up, json)


def destroy(
    context: typer.Context,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Delete the registry and its contents."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        name = verbs.registry_of(ctx).name
        confirm(f"registry {name} will be deleted, with all pushed and cached images", yes)
        result = verbs.destroy_registry(ctx)
    answer(result, plex_text.destroy, json)
