"""The verb `trust`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import Json, Yes
from plexctl.cli.session import directory
from plexctl.cli.terminal import answer, approval
from plexctl.config import load
from plexctl.errors import UsageError
from plexctl.render import lab_text
from plexctl.workflow.trust import verbs


def trust(
    context: typer.Context,
    always: Annotated[
        bool,
        typer.Option("--always", help="Trust later changes too, as in a lab that `init` created."),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the files and whether you trust them; ask nothing.")
    ] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Forget what you have trusted in this lab.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Trust the parts of a lab that run programs on this machine.

    These are the lab's own roles, pins, bases and charts. plexctl stores their digests, and asks
    again when they change. A lab that `init` created is trusted.
    """
    if list_ + revoke + always > 1:
        raise UsageError("--list, --revoke and --always exclude each other")
    root = load.find_lab(directory(context))
    if list_:
        result = verbs.list_parts(root)
    elif revoke:
        result = verbs.revoke(root)
    else:
        result = verbs.trust_lab(root, approval(yes), always=always)
    answer(result, lab_text.trust, json)
