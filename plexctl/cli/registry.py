"""Verbs about the lab's registry."""

from __future__ import annotations

import typer

from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import answer, confirm, end, lab
from plexctl.errors import ExitCode

registry = typer.Typer(
    no_args_is_help=True, help="Keep what is pushed, and images pulled once for all nodes."
)


@registry.command()
def up(
    context: typer.Context, json: Json = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Bring the registry to what hosts.yaml says; `up` of a plex does it too."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.registry.verbs import registry_up

        result = registry_up(ctx)
    answer(result, json)


@registry.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show how the registry is and what was pushed. Ends with code 1 if not all is well."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.registry.verbs import registry_status

        result = registry_status(ctx)
    answer(result, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


@registry.command()
def replace(
    context: typer.Context, json: Json = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Make its node anew. All that is in it stays."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.registry.verbs import registry_up

        result = registry_up(ctx, replace=True)
    answer(result, json)


@registry.command()
def destroy(
    context: typer.Context,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove the registry with all that is in it, cached and pushed."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.registry.verbs import destroy_registry, registry_of

        name = registry_of(ctx).name
        confirm(f"the registry {name} and all in it, cached and pushed, will be removed", yes)
        result = destroy_registry(ctx)
    answer(result, json)
