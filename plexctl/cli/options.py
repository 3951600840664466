"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.complete import node_names, plex_names

PlexArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PLEX",
        help="The plex; default: the current or only one.",
        autocompletion=plex_names,
        show_default=False,
    ),
]
PlexOption = Annotated[
    str | None,
    typer.Option(
        "--plex",
        metavar="PLEX",
        help="The plex; default: the one that has the node, the current or only one.",
        autocompletion=plex_names,
    ),
]
NodeArgument = Annotated[
    str,
    typer.Argument(metavar="NODE", help='A node: "demo2", or "master".', autocompletion=node_names),
]
Json = Annotated[
    bool, typer.Option("--json", help="Answer in JSON on standard output; errors too.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every instant of every node.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until nodes are Ready.")]
NoDrain = Annotated[bool, typer.Option("--no-drain", help="Do not empty workers before they go.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file (mode 0600).")
]
