"""Verbs about the machines that run nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.host_prepare import NameArgument, prepare
from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import answer, confirm, end, hidden, lab
from plexctl.errors import ExitCode, UsageError
from plexctl.model.kinds import HostKind

host = typer.Typer(no_args_is_help=True, help="Keep the machines that run nodes.")


@host.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """Ask all hosts how they are. Ends with code 1 if one does not answer."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.host.verbs import list_hosts

        result = list_hosts(ctx)
    answer(result, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


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
            help="Read a token from standard input: `incus config trust add plexctl` prints it. "
            "Of Proxmox, the secret of --token-id.",
        ),
    ] = False,
    kind: Annotated[HostKind, typer.Option(help="What runs the nodes.")] = HostKind.INCUS,
    pool: Annotated[
        str | None,
        typer.Option(
            help="Its storage for instances; default: as it is, or default, on Proxmox local-lvm."
        ),
    ] = None,
    token_id: Annotated[
        str | None, typer.Option(help="Proxmox: name of the API token, as in plexctl@pve!lab.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="Proxmox: its name in the cluster; default: NAME.")
    ] = None,
    bridge: Annotated[
        str | None,
        typer.Option(help="A bridge of it for `link: bridge`; default on Proxmox: vmbr0."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make another machine a host of the lab: an Incus server, or a node of Proxmox VE.

    Its certificate is pinned: the token of Incus says which one is right, and without one you are
    asked. Whether the server lets the lab in is tried out before hosts.yaml is written.
    """
    if (kind is HostKind.PROXMOX) != (token_id is not None):
        raise UsageError(
            "--token-id goes with --kind proxmox, and is needed there",
            hint="as in --kind proxmox --token-id plexctl@pve!lab --token",
        )
    secret = hidden("Token: ") if token else None
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.host import verbs as hosts

        hosts.check_words(name, bridge, token_id)
        certificate = None
        if secret is None or kind is HostKind.PROXMOX:
            url, certificate = hosts.fingerprint_of(url, kind)
            if not hosts.pinned(ctx, name, url, certificate):
                confirm(f"{url} shows the certificate {certificate}; it will be trusted", yes)
        if token_id is None or certificate is None:
            result = hosts.add_host(
                ctx,
                name,
                url,
                token=secret,
                certificate=certificate,
                pool=pool,
                bridge=bridge,
            )
        else:
            from plexctl.workflow.host.proxmox import add_proxmox

            result = add_proxmox(
                ctx,
                name,
                url,
                token_id=token_id,
                secret=secret,
                certificate=certificate,
                node=node,
                pool=pool,
                bridge=bridge or (None if name in ctx.lab.hosts else "vmbr0"),
            )
    answer(result, json)


host.command()(prepare)


@host.command()
def remove(context: typer.Context, name: NameArgument, json: Json = False) -> None:
    """Take a host out of the lab. What is on it stays; a plex must not name it any more."""
    with lab(context, quiet=True) as ctx:
        from plexctl.workflow.host import verbs as hosts

        result = hosts.remove(ctx, name)
    answer(result, json)
