"""The verbs that reach a single node."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from plexctl.cli.options import Json, NodeArgument, PlexOption
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, end, say
from plexctl.clients import process
from plexctl.errors import UsageError
from plexctl.render import json as json_render
from plexctl.render import plex_text
from plexctl.workflow.plex import access, lookup


def ssh(
    context: typer.Context,
    node: NodeArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="The command; default: a shell."),
    ] = None,
    plex: PlexOption = None,
) -> None:
    """Open a shell on a node, or run a command there. Ends with the exit code of `ssh`."""
    with lab(context, quiet=True) as ctx:
        argv = access.ssh(ctx, *lookup.find_node(ctx, node, plex), command or ())
    process.replace(argv)


def execute(
    context: typer.Context,
    node: NodeArgument,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="The program and its arguments.")
    ],
    plex: PlexOption = None,
    tty: Annotated[
        bool | None,
        typer.Option(
            "--tty/--no-tty",
            "-t",
            help="Give the program a terminal; default: if stdin and stdout are terminals.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", help="Time limit of the program; default: none.", min=1),
    ] = None,
    json: Json = False,
) -> None:
    """Run a program on a node through its host, without SSH.

    Its input and output are streams of bytes. Ends with its exit code: 127 if there is no such
    program, 126 if it cannot be executed, 128 + N if signal N ended it.
    """
    from plexctl.cli import terminal_streams as local

    if tty and json:
        raise UsageError("--tty and --json exclude each other: JSON is one document")
    with lab(context, quiet=True) as ctx:
        _, found = lookup.find_node(ctx, node, plex)
        if json:
            with local.captured() as (streams, result):
                code = access.run(ctx, found, command, streams, timeout=timeout)
            say(json_render.json_text(result(tuple(command), code)))
        else:
            with local.own(tty, access.has_terminals(ctx, found)) as streams:
                try:
                    code = access.run(ctx, found, command, streams, timeout=timeout)
                except BrokenPipeError:  # as if the program had run in this pipe
                    code = 128 + signal.SIGPIPE
    end(code)


def logs(
    context: typer.Context,
    node: NodeArgument,
    plex: PlexOption = None,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", "-u", metavar="UNIT", help="Only this systemd unit, for example kubelet."
        ),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="NUMBER", min=0, help="Show the last lines.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines as they come.")] = (
        False
    ),
    json: Json = False,
) -> None:
    """Show the log of a node."""
    if follow and json:
        raise UsageError("--follow and --json exclude each other: JSON is one document")
    with lab(context, quiet=True) as ctx:
        chosen, found = lookup.find_node(ctx, node, plex)
        if follow:
            process.replace(access.follow_logs(ctx, chosen, found, unit, lines))
        result = access.logs(ctx, found, unit, lines)
    answer(result, plex_text.log, json)
