"""The verb `host prepare`, which changes a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, Quiet, Verbose, Yes
from plexctl.cli.session import answer, confirm, lab
from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind, Repository

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What hosts.yaml and plex files call it.")
]


def prepare(
    context: typer.Context,
    name: NameArgument,
    ssh: Annotated[
        str | None,
        typer.Option(
            metavar="USER@HOST[:PORT]",
            help="Another machine; without it, `ssh` in hosts.yaml, or this one.",
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="SSH key; default: the user's own.")] = None,
    known_hosts: Annotated[
        Path | None, typer.Option(help="File with its SSH host key; default: the user's own.")
    ] = None,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help="Trust the first SSH host key that is seen.")
    ] = False,
    kind: Annotated[
        HostKind | None,
        typer.Option(help="What runs the nodes; default: as hosts.yaml says, or incus."),
    ] = None,
    https: Annotated[
        str, typer.Option(help="Where Incus answers, as in :8443; default: as it is, or :8443.")
    ] = "",
    repository: Annotated[
        Repository, typer.Option(help="Where Incus comes from.")
    ] = Repository.AUTO,
    pool: Annotated[
        str | None,
        typer.Option(help="Storage pool of Incus; default: as hosts.yaml says, or default."),
    ] = None,
    driver: Annotated[
        str, typer.Option(help="Its driver; default: btrfs where that works, else dir.")
    ] = "",
    source: Annotated[
        str, typer.Option(help="A device or a folder for it; default: a sparse file.")
    ] = "",
    size: Annotated[str, typer.Option(help="Size of that file; default: 60GiB.")] = "",
    no_pool: Annotated[bool, typer.Option("--no-pool", help="Leave pools alone.")] = False,
    bridge: Annotated[
        str | None, typer.Option(help="Make a bridge of this name, for `link: bridge`.")
    ] = None,
    uplink: Annotated[
        str, typer.Option(help="The bridge's interface to the network; it has no address.")
    ] = "",
    bridge_address: Annotated[
        str, typer.Option(help="The bridge's own address, as in 10.0.5.1/24.")
    ] = "",
    iommu: Annotated[bool, typer.Option("--iommu", help="Switch the IOMMU on.")] = False,
    vfio: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR:DEVICE", help="PCI devices kept for VMs; may be repeated."),
    ] = None,
    pci: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ADDRESS",
            help="A PCI device and the name that types ask for; may be repeated.",
        ),
    ] = None,
    wireguard: Annotated[
        bool, typer.Option("--wireguard", help="Insist on the kernel module of WireGuard.")
    ] = False,
    vms: Annotated[bool, typer.Option("--vms", help="Have what virtual machines need.")] = False,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Prepare it only; the lab does not get to know it.")
    ] = False,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Make a token also where there has been one.")
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Proxmox: storage for images and disks of configuration; default: as hosts.yaml "
            "says, or local."
        ),
    ] = None,
    disks: Annotated[
        str | None,
        typer.Option(
            help="Proxmox: storage for nodes' disks; default: as hosts.yaml says, or the same."
        ),
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="Proxmox: its name in the cluster; default: NAME.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a machine a host: what nodes need of it, then what the lab needs to reach it.

    Debian, Ubuntu or a node of Proxmox VE, through Ansible. Says beforehand what it will change;
    a second time nothing is left to change. The machine is never rebooted.
    """
    with lab(context, quiet=quiet, verbose=verbose) as ctx:
        from plexctl.workflow.host import ready as host_ready
        from plexctl.workflow.host.request import (
            POOL_SIZE,
            BridgeRequest,
            HostRequest,
            LocalTarget,
            PoolRequest,
            ProxmoxRequest,
        )

        there = ctx.lab.hosts.get(name)
        kind = kind or (there.kind if there else HostKind.INCUS)
        if (uplink or bridge_address) and bridge is None:
            raise UsageError("which bridge is that of?", hint="--bridge br0")
        reach = host_ready.reach(
            ctx, name, ssh, key=key, known_hosts=known_hosts, accept_new=accept_new
        )
        ours = isinstance(reach, LocalTarget) and kind is HostKind.INCUS  # a socket needs no token
        request = HostRequest(
            name,
            reach,
            kind,
            https=https,
            repository=repository,
            pool=None
            if no_pool
            else PoolRequest(
                pool or (there.pool if there else "default"), driver, source, size or POOL_SIZE
            ),
            bridge=BridgeRequest(bridge, uplink, bridge_address) if bridge else None,
            pci=_named(pci or ()),
            iommu=iommu,
            vfio=tuple(vfio or ()),
            wireguard=wireguard,
            virtual_machines=vms,
            client=None if no_token or ours else host_ready.client_name(ctx, kind),
            new_token=new_token,
            proxmox=ProxmoxRequest(
                storage=storage or (there.proxmox.iso if there and there.proxmox else "local"),
                disks=disks or (there.pool if there and there.proxmox else ""),
            ),
        )
        confirm(host_ready.intention(request), yes)
        result = host_ready.prepare_host(ctx, request, node=node)
    answer(result, json)


def _named(devices: list[str] | tuple[str, ...]) -> dict[str, str]:
    found = {}
    for device in devices:
        name, equals, address = device.partition("=")
        if not (name and equals and address):
            raise UsageError(f"'{device}' is not NAME=ADDRESS", hint="as in gpu=0000:01:00.0")
        found[name] = address
    return found
