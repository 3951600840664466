"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import node_names, plex_names

PlexArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PLEX",
        help="The plex; default: the current or only plex.",
        autocompletion=plex_names,
        show_default=False,
    ),
]
PlexOption = Annotated[
    str | None,
    typer.Option(
        "--plex",
        metavar="PLEX",
        help="The plex; default: the plex of the node, or the current or only plex.",
        autocompletion=plex_names,
    ),
]
OfPlex = Annotated[
    str | None,
    typer.Option(
        "--plex",
        metavar="PLEX",
        help="The plex; default: the current or only plex.",
        autocompletion=plex_names,
    ),
]
NodeArgument = Annotated[
    str,
    typer.Argument(
        metavar="NODE",
        help='The node, for example demo2; "master" is node 1.',
        autocompletion=node_names,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the answer or the error to stdout as JSON.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show every recorded instant of every node.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until nodes are Ready.")]
NoDrain = Annotated[
    bool, typer.Option("--no-drain", help="Delete or replace workers without draining them.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file (a new one has mode 0600). If it has other entries, FILE.bak is a "
        "copy of the old file.",
    ),
]
HostArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Its name in hosts.yaml and in plex files.")
]
