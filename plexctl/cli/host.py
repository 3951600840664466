"""Verbs about the machines that run nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import answer, confirm, end, hidden, lab
from plexctl.errors import ExitCode

host = typer.Typer(no_args_is_help=True, help="Keep the machines that run nodes.")

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What hosts.yaml and plex files call it.")
]


@host.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """Ask all hosts how they are. Ends with code 1 if one does not answer."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.hosts import list_hosts

        result = list_hosts(ctx)
    answer(result, json)
    end(ExitCode.DONE if result.well else ExitCode.FAILED)


@host.command()
def add(
    context: typer.Context,
    name: NameArgument,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Its API, as in https://10.0.0.7:8443.")
    ],
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            help="Read a token from standard input: `incus config trust add plexctl` prints it.",
        ),
    ] = False,
    pool: Annotated[str, typer.Option(help="Its storage pool for instances.")] = "default",
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make an Incus server on another machine a host of the lab.

    Its certificate is pinned: the token says which one is right, and without a token you are
    asked. What its kernel lets containers do is found out there, and all is written to hosts.yaml.
    """
    secret = hidden("Token: ") if token else None
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow import hosts

        certificate = None
        if secret is None:
            url, certificate = hosts.fingerprint_of(url)
            confirm(f"{url} shows the certificate {certificate}; it will be trusted", yes)
        result = hosts.add_host(ctx, name, url, token=secret, certificate=certificate, pool=pool)
    answer(result, json)


@host.command()
def remove(context: typer.Context, name: NameArgument, json: Json = False) -> None:
    """Take a host out of the lab. What is on it stays; a plex must not name it any more."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow import hosts

        result = hosts.remove(ctx, name)
    answer(result, json)
