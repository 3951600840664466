"""Verbs about the lab, and how other tools reach its nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.complete import app_names, chart_names, node_names, plex_names
from plexctl.cli.options import Json, Output, PlexArgument, Quiet
from plexctl.cli.session import answer, directory, lab, new_passphrase, say
from plexctl.errors import UsageError


def init(
    context: typer.Context,
    plex: Annotated[
        str | None,
        typer.Argument(
            metavar="PLEX", help="Its first plex, or one more; default: demo.", show_default=False
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option("--passphrase", help="Lock the seed with a passphrase, not with your key."),
    ] = False,
    gitops: Annotated[
        bool, typer.Option("--gitops", help="Have Flux bring up its apps, hello-world first.")
    ] = False,
    app: Annotated[
        list[str] | None,
        typer.Option(
            "--app",
            metavar="APP",
            help="With --gitops: lay this app down too. May be given again.",
            show_default=False,
            autocompletion=app_names,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the first files of a lab.

    The lab is the current folder, or that of -C. What is there stays as it is; asks nothing but
    a passphrase.
    """
    if app and not gitops:
        raise UsageError("--app goes with --gitops")
    from plexctl.workflow.lab import init as first

    lock = new_passphrase() if passphrase else None
    root = directory(context).resolve()
    answer(first.init(root, plex, lock, gitops=gitops, apps=app or ()), json)


def list_(context: typer.Context, json: Json = False) -> None:
    """Show the plexes of the lab."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.plex.status import list_plexes

        result = list_plexes(ctx)
    answer(result, json)


def use(
    context: typer.Context,
    plex: Annotated[str, typer.Argument(metavar="PLEX", autocompletion=plex_names)],
    json: Json = False,
) -> None:
    """Choose the plex that is meant where none is named."""
    with lab(context, quiet=True) as ctx:
        from plexctl.results.lab import UseResult
        from plexctl.workflow.core.context import use_plex

        result = UseResult(use_plex(ctx, plex).name)
    answer(result, json)


def kubeconfig(
    context: typer.Context,
    plex: PlexArgument = None,
    output: Output = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Put it into your own ($KUBECONFIG or ~/.kube/config)."),
    ] = False,
    json: Json = False,
) -> None:
    """Print the kubeconfig of a plex. It stays valid when the plex is made anew."""
    if output and merge:
        raise UsageError("--output and --merge: which of them?")
    with lab(context, quiet=True) as ctx:
        from plexctl.render.json import yaml_as_json
        from plexctl.workflow.core.context import find_plex
        from plexctl.workflow.plex import access, kubeconfig

        chosen = find_plex(ctx, plex)
        if merge:
            answer(kubeconfig.merge(ctx, chosen), json)
        elif output:
            answer(kubeconfig.write(ctx, chosen, output.resolve()), json)
        else:
            text = access.kubeconfig(ctx, chosen)
            say(yaml_as_json(text) if json else text.rstrip("\n"))


def inventory(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="The variables of one node.", autocompletion=node_names),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="All nodes; the default.")] = False,
) -> None:
    """Print Ansible's dynamic inventory of the lab, in JSON."""
    with lab(context, quiet=True) as ctx:
        from plexctl.render.json import document_text
        from plexctl.workflow.plex import access

        found = access.ansible_host(ctx, host) if host else access.ansible_inventory(ctx)
    say(document_text(found))


def render(
    context: typer.Context,
    apps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[APP]...",
            help="Apps with a HelmRelease; default: all of them.",
            autocompletion=chart_names,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write what the charts of apps make, as plain manifests: no helm-controller is needed then.

    They go to apps/APP/rendered. Charts are fetched once; depot.lock keeps their checksums.
    """
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.gitops import charts

        result = charts.render(ctx, tuple(apps or ()))
    answer(result, json)
