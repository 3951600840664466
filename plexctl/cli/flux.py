"""Verbs about what brings up the apps of a plex."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, PlexArgument, PlexOption, Quiet
from plexctl.cli.session import answer, end, hidden, lab, say
from plexctl.errors import ExitCode, UsageError

flux = typer.Typer(no_args_is_help=True, help="What brings up the apps of a plex.")

App = Annotated[
    str, typer.Argument(metavar="APP", help='A Kustomization, or "source" for where all come from.')
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the apps are there.")]


@flux.command()
def status(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Show every app. Ends with code 1 if not all are there."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.status(ctx, find_plex(ctx, plex))
    answer(result, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


@flux.command()
def reconcile(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have Flux fetch and apply now."""
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.reconcile(ctx, find_plex(ctx, plex), waiting=not no_wait)
    answer(result, json)
    end(ExitCode.FAILED if result.failures else ExitCode.DONE)


@flux.command()
def push(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send apps/ and clusters/ as they are to the lab's registry, and apply them.

    Needs no commit. What is a Secret and not encrypted is refused.
    """
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.push(ctx, find_plex(ctx, plex), waiting=not no_wait)
    answer(result, json)
    end(ExitCode.FAILED if result.apps.failures else ExitCode.DONE)


@flux.command()
def diff(
    context: typer.Context, plex: PlexArgument = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Show what a push would change. Ends with code 3 if there is something.

    The API itself computes what would become of each object; nothing is changed.
    """
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import diff as flux_diff

        result = flux_diff.diff(ctx, find_plex(ctx, plex))
    answer(result, json)
    if result.failures:
        end(ExitCode.FAILED)
    end(ExitCode.CHANGES if result.changes else ExitCode.DONE)


@flux.command()
def suspend(context: typer.Context, app: App, plex: PlexOption = None, json: Json = False) -> None:
    """Have Flux leave an app as it is."""
    _suspend(context, app, plex, json, suspended=True)


@flux.command()
def resume(context: typer.Context, app: App, plex: PlexOption = None, json: Json = False) -> None:
    """Have Flux go on with an app."""
    _suspend(context, app, plex, json, suspended=False)


@flux.command()
def key(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Print the public key that an ssh source must let read (a deploy key)."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.key(ctx, find_plex(ctx, plex))
    answer(result, json) if json else say(result.public)


@flux.command()
def token(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Keep the token of an https or oci source, encrypted; it is read from standard input."""
    secret = hidden("Token: ")
    if not secret.reveal():
        raise UsageError("standard input has no token", hint="as in `pass git/lab | plexctl …`")
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.token(ctx, find_plex(ctx, plex), secret)
    answer(result, json)


def _suspend(
    context: typer.Context, app: str, plex: str | None, json: bool, *, suspended: bool
) -> None:
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.gitops import flux

        result = flux.suspend(ctx, find_plex(ctx, plex), app, suspended=suspended)
    answer(result, json)
