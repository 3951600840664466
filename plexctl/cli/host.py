"""The verbs about the lab's hosts, except for `host prepare`."""

from __future__ import annotations

from typing import Annotated

import typer

from plexctl.cli.options import HostArgument, Json, Quiet, Verbose, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, confirm, end, hidden
from plexctl.errors import ExitCode, UsageError
from plexctl.model.kinds import HostKind
from plexctl.render import host_text
from plexctl.workflow.host import declaration, incus, onboarding, proxmox
from plexctl.workflow.host import verbs as hosts


def list_(context: typer.Context, json: Json = False) -> None:
    """Show the state of all hosts. Ends with code 1 if a host is unreachable."""
    with lab(context, quiet=True) as ctx:
        result = hosts.list_hosts(ctx)
    answer(result, host_text.hosts, json)
    end(ExitCode.DONE if result.healthy else ExitCode.FAILED)


def add(
    context: typer.Context,
    name: HostArgument,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Its API, for example https://10.0.0.7:8443.")
    ],
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            help="Read a token from stdin. Incus: the output of `incus config trust add plexctl`. "
            "Proxmox: the secret of --token-id.",
        ),
    ] = False,
    kind: Annotated[HostKind, typer.Option(help="The kind of host.")] = HostKind.INCUS,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            metavar="POOL",
            help="Its storage pool for nodes; default: the pool in hosts.yaml, or default "
            "(Proxmox: local-lvm).",
        ),
    ] = None,
    token_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Proxmox: name of the API token: plexctl@pve!lab."),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            "--node", metavar="NODE", help="Proxmox: its name in the cluster; default: NAME."
        ),
    ] = None,
    bridge: Annotated[
        str | None,
        typer.Option(
            "--bridge",
            metavar="BRIDGE",
            help="Its bridge for `link: bridge`; default on Proxmox: vmbr0.",
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add a machine to the lab's hosts. It is an Incus server, or a node of Proxmox VE.

    The lab pins the machine's certificate. A token of Incus contains its fingerprint; without a
    token plexctl shows the fingerprint and asks. plexctl logs in before it writes hosts.yaml.
    """
    if (kind is HostKind.PROXMOX) != (token_id is not None):
        raise UsageError(
            "--token-id and --kind proxmox need each other",
            hint="for example: --kind proxmox --token-id plexctl@pve!lab --token",
        )
    secret = hidden("Token: ") if token else None
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        declaration.check_values(name, bridge, token_id)
        certificate = None
        if secret is None or kind is HostKind.PROXMOX:
            url, certificate = onboarding.fingerprint_of(url, kind)
            if not declaration.pinned(ctx, name, url, certificate):
                confirm(f"{url} has the certificate {certificate}, which the lab will trust", yes)
        if token_id is None or certificate is None:
            result = incus.add_incus(
                ctx,
                name,
                url,
                token=secret,
                certificate=certificate,
                pool=pool,
                bridge=bridge,
            )
        else:
            result = proxmox.add_proxmox(
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
    answer(result, host_text.host, json)


def remove(context: typer.Context, name: HostArgument, json: Json = False) -> None:
    """Remove a host from the lab.

    No plex may name the host any more. Nothing on the host is changed.
    """
    with lab(context, quiet=True) as ctx:
        result = hosts.remove(ctx, name)
    answer(result, host_text.host, json)
