"""The verbs that other tools need to reach nodes: kubeconfig and Ansible's inventory."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import node_names
from plexctl.cli.options import Json, Output, PlexArgument
from plexctl.cli.session import find_plex, lab
from plexctl.cli.terminal import answer, say
from plexctl.errors import UsageError
from plexctl.render import json as json_render
from plexctl.render import lab_text
from plexctl.workflow.plex import access
from plexctl.workflow.plex import kubeconfig as kubeconfigs


def kubeconfig(
    context: typer.Context,
    plex: PlexArgument = None,
    output: Output = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Merge it into your own file ($KUBECONFIG or ~/.kube/config)."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the kubeconfig of a plex. It stays valid when the plex is recreated."""
    if output and merge:
        raise UsageError("--output and --merge exclude each other")
    with lab(context, quiet=True) as ctx:
        chosen = find_plex(ctx, plex)
        if merge:
            answer(kubeconfigs.merge(ctx, chosen), lab_text.kubeconfig, json)
        elif output:
            written = kubeconfigs.write(ctx, chosen, output.resolve())
            answer(written, lab_text.kubeconfig, json)
        else:
            text = access.kubeconfig(ctx, chosen)
            say(json_render.yaml_as_json(text) if json else text.rstrip("\n"))


def inventory(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NODE", help="Print only the variables of this node.", autocompletion=node_names
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print all nodes (the default).")] = False,
) -> None:
    """Print the lab's inventory for Ansible. The format is that of a dynamic inventory, in JSON."""
    with lab(context, quiet=True) as ctx:
        found = access.ansible_host(ctx, host) if host else access.ansible_inventory(ctx)
    say(json_render.document_text(found))
