"""Verbs about single nodes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from plexctl.cli.complete import node_names
from plexctl.cli.options import (
    Json,
    NodeArgument,
    NoDrain,
    NoWait,
    PlexOption,
    Quiet,
    Verbose,
    Yes,
)
from plexctl.cli.session import answer, answer_up, confirm, end, lab, say
from plexctl.errors import UsageError


def replace(
    context: typer.Context,
    nodes: Annotated[
        list[str],
        typer.Argument(metavar="NODE...", help='Workers, or "master".', autocompletion=node_names),
    ],
    plex: PlexOption = None,
    no_wait: NoWait = False,
    no_drain: NoDrain = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make nodes anew. The master stands for the whole cluster, which loses all that is in it."""
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.plex import verbs
        from plexctl.workflow.plex.lookup import has_master, plex_of

        chosen = plex_of(ctx, nodes, plex)
        if has_master(chosen, nodes):
            confirm(f"the whole cluster {chosen.name} is made anew and loses all in it", yes)
        result = verbs.replace(ctx, chosen, nodes, drain=not no_drain, wait=not no_wait)
    answer_up(result, json)


def ssh(
    context: typer.Context,
    node: NodeArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="What to run there; default: a shell."),
    ] = None,
    plex: PlexOption = None,
) -> None:
    """Open a shell on a node, or run a command there. Ends with the code of `ssh`."""
    with lab(context, quiet=True) as ctx:
        from plexctl.clients import process
        from plexctl.workflow.plex import access
        from plexctl.workflow.plex.lookup import find_node

        argv = access.ssh(ctx, *find_node(ctx, node, plex), command or ())
    process.replace(argv)


def execute(
    context: typer.Context,
    node: NodeArgument,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="The program and its arguments.")
    ],
    plex: PlexOption = None,
    timeout: Annotated[
        int, typer.Option(metavar="SECONDS", help="How long the program may take.", min=1)
    ] = 600,
    json: Json = False,
) -> None:
    """Run a program on a node through its host, without SSH. Ends with the program's code.

    Its output is shown when it has ended.
    """
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.plex import access
        from plexctl.workflow.plex.lookup import find_node

        _, found = find_node(ctx, node, plex)
        done = access.execute(ctx, found, command, timeout=timeout)
    if json:
        from plexctl.render.json import json_text

        say(json_text(done))
    else:
        sys.stderr.write(done.stderr)
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
    end(done.code)


def logs(
    context: typer.Context,
    node: NodeArgument,
    plex: PlexOption = None,
    unit: Annotated[
        str | None, typer.Option("--unit", "-u", help="Of this systemd unit only: kubelet.")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines as they come.")] = (
        False
    ),
    json: Json = False,
) -> None:
    """Show the log of a node."""
    if follow and json:
        raise UsageError(
            "--follow has no end, and --json is one answer", hint="leave one of them out"
        )
    with lab(context, quiet=True) as ctx:
        from plexctl.clients import process
        from plexctl.workflow.plex import access
        from plexctl.workflow.plex.lookup import find_node

        chosen, found = find_node(ctx, node, plex)
        if follow:
            command = access.journalctl(unit, lines, follow=True)
            process.replace(access.ssh(ctx, chosen, found, command))
        result = access.logs(ctx, found, unit, lines)
    answer(result, json)
