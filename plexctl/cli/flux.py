"""The verbs about the apps of a plex."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, PlexArgument, PlexOption, Quiet
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, end, hidden
from plexctl.errors import ExitCode, UsageError
from plexctl.render import apps_text
from plexctl.workflow.gitops import diff as flux_diff
from plexctl.workflow.gitops import flux

App = Annotated[
    str,
    typer.Argument(metavar="APP", help='A Kustomization, or "source" for the source of all apps.'),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the apps are ready.")]


def status(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Show the state of every app. Ends with code 1 if an app is not ready."""
    with lab(context, quiet=True) as ctx:
        result = flux.status(ctx, find_plex(ctx, plex))
    answer(result, apps_text.apps, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


def reconcile(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Request reconciliation of all apps now. Flux fetches the source again and applies it."""
    with lab(context, quiet=quiet) as ctx:
        result = flux.reconcile(ctx, find_plex(ctx, plex), waiting=not no_wait)
    answer(result, apps_text.apps, json)
    end(ExitCode.FAILED if result.failures else ExitCode.DONE)


def push(
    context: typer.Context,
    plex: PlexArgument = None,
    no_wait: NoWait = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Push apps/ and clusters/ to the lab's registry. Flux then applies them.

    The files need no commit. A Secret that is not encrypted is an error.
    """
    with lab(context, quiet=quiet) as ctx:
        result = flux.push(ctx, find_plex(ctx, plex), waiting=not no_wait)
    answer(result, apps_text.push, json)
    end(ExitCode.FAILED if result.apps.failures else ExitCode.DONE)


def diff(
    context: typer.Context, plex: PlexArgument = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Show what a push would change. Ends with code 3 if there are changes.

    The Kubernetes API computes each change as a dry run.
    """
    with lab(context, quiet=quiet) as ctx:
        result = flux_diff.diff(ctx, find_plex(ctx, plex))
    answer(result, apps_text.diff, json)
    if result.failures:
        end(ExitCode.FAILED)
    end(ExitCode.CHANGES if result.changes else ExitCode.DONE)


def suspend(context: typer.Context, app: App, plex: PlexOption = None, json: Json = False) -> None:
    """Suspend reconciliation of an app."""
    _suspend(context, app, plex, json, suspended=True)


def resume(context: typer.Context, app: App, plex: PlexOption = None, json: Json = False) -> None:
    """Resume reconciliation of an app."""
    _suspend(context, app, plex, json, suspended=False)


def key(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Print the public key (deploy key) for an ssh source."""
    with lab(context, quiet=True) as ctx:
        result = flux.key(ctx, find_plex(ctx, plex))
    answer(result, apps_text.key, json)


def token(context: typer.Context, plex: PlexArgument = None, json: Json = False) -> None:
    """Store the token of an https or oci source.

    Reads the token from standard input, and encrypts it.
    """
    secret = hidden("Token: ")
    if not secret.reveal():
        raise UsageError(
            "standard input contains no token",
            hint="pipe it in: `pass git/lab | plexctl flux token`",
        )
    with lab(context, quiet=True) as ctx:
        result = flux.token(ctx, find_plex(ctx, plex), secret)
    answer(result, apps_text.token, json)


def _suspend(
    context: typer.Context, app: str, plex: str | None, json: bool, *, suspended: bool
) -> None:
    with lab(context, quiet=True) as ctx:
        result = flux.suspend(ctx, find_plex(ctx, plex), app, suspended=suspended)
    answer(result, apps_text.apps, json)
