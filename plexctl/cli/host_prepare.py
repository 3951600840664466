"""The verb `host prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import HostArgument, Json, Quiet, Verbose, Yes
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer, confirm
from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind, Repository
from plexctl.render import host_text
from plexctl.workflow.host import onboarding
from plexctl.workflow.host import prepare as host_prepare
from plexctl.workflow.host import request as requests


def prepare(
    context: typer.Context,
    name: HostArgument,
    ssh: Annotated[
        str | None,
        typer.Option(
            metavar="USER@HOST[:PORT]",
            help="Prepare this machine; default: `ssh` in hosts.yaml, or the local machine.",
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SSH key; default: your own.")
    ] = None,
    known_hosts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with its SSH host key; default: your own."),
    ] = None,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help="Trust an unknown SSH host key.")
    ] = False,
    kind: Annotated[
        HostKind | None,
        typer.Option(help="The kind of host; default: `kind` in hosts.yaml, or incus."),
    ] = None,
    https: Annotated[
        str,
        typer.Option(
            metavar="[ADDRESS]:PORT",
            help="Listen address of Incus; default: the present one, or :8443.",
        ),
    ] = "",
    repository: Annotated[
        Repository, typer.Option(help="Package repository of Incus.")
    ] = Repository.AUTO,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            metavar="POOL",
            help="Storage pool of Incus; default: `pool` in hosts.yaml, or default.",
        ),
    ] = None,
    driver: Annotated[
        str,
        typer.Option(
            "--driver",
            metavar="DRIVER",
            help="Driver of a new pool; default: btrfs where possible, else dir.",
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="Device or folder of a new pool; default: a sparse file."
        ),
    ] = "",
    size: Annotated[
        str, typer.Option("--size", metavar="SIZE", help="Size of that file; default: 60GiB.")
    ] = "",
    no_pool: Annotated[bool, typer.Option("--no-pool", help="Create no storage pool.")] = False,
    bridge: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Create a bridge of this name, for `link: bridge`."),
    ] = None,
    uplink: Annotated[
        str,
        typer.Option(
            metavar="INTERFACE", help="The bridge's interface to the network, without addresses."
        ),
    ] = "",
    bridge_address: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The bridge's address, for example 10.0.5.1/24."),
    ] = "",
    iommu: Annotated[bool, typer.Option("--iommu", help="Enable the IOMMU.")] = False,
    vfio: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR:DEVICE", help="Reserve PCI devices for VMs. May be repeated."),
    ] = None,
    pci: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ADDRESS",
            help="Name a PCI device, so that types can use it. May be repeated.",
        ),
    ] = None,
    wireguard: Annotated[
        bool, typer.Option("--wireguard", help="Fail without WireGuard's kernel module.")
    ] = False,
    vms: Annotated[bool, typer.Option("--vms", help="Install support for VMs.")] = False,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Only prepare the machine; do not add it to the lab.")
    ] = False,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Create a token even if the machine had one.")
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="STORAGE",
            help="Proxmox: storage for images and ISO files; default: `iso` in hosts.yaml, or "
            "local.",
        ),
    ] = None,
    disks: Annotated[
        str | None,
        typer.Option(
            metavar="STORAGE",
            help="Proxmox: storage for disks of nodes; default: `pool` in hosts.yaml, or "
            "--storage.",
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            "--node", metavar="NODE", help="Proxmox: its name in the cluster; default: NAME."
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Install what a machine needs to be a host, and add it.

    The machine runs Debian, Ubuntu or Proxmox VE, and is changed with Ansible. plexctl first
    prints what it will change, and asks. A second run changes nothing. plexctl never reboots the
    machine.
    """
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        there = ctx.lab.hosts.get(name)
        kind = kind or (there.kind if there else HostKind.INCUS)
        if (uplink or bridge_address) and bridge is None:
            raise UsageError("--uplink and --bridge-address need --bridge", hint="add --bridge br0")
        reach = host_prepare.reach(
            ctx, name, ssh, key=key, known_hosts=known_hosts, accept_new=accept_new
        )
        # Incus on this machine is reached through its socket, which needs no token.
        ours = isinstance(reach, requests.LocalTarget) and kind is HostKind.INCUS
        request = requests.HostRequest(
            name,
            reach,
            kind,
            https=https,
            repository=repository,
            pool=None
            if no_pool
            else requests.PoolRequest(
                pool or (there.pool if there else "default"),
                driver,
                source,
                size or requests.POOL_SIZE,
            ),
            bridge=requests.BridgeRequest(bridge, uplink, bridge_address) if bridge else None,
            pci=_named(pci or ()),
            iommu=iommu,
            vfio=tuple(vfio or ()),
            wireguard=wireguard,
            virtual_machines=vms,
            client=None
            if no_token or ours
            else onboarding.onboarding(kind).client_name(ctx.seed.short_id),
            new_token=new_token,
            proxmox=requests.ProxmoxRequest(
                storage=storage or (there.proxmox.iso if there and there.proxmox else "local"),
                disks=disks or (there.pool if there and there.proxmox else ""),
            ),
        )
        confirm(host_prepare.intention(request), yes)
        result = host_prepare.prepare_host(ctx, request, node=node)
    answer(result, host_text.prepared, json)


def _named(devices: list[str] | tuple[str, ...]) -> dict[str, str]:
    found = {}
    for device in devices:
        name, equals, address = device.partition("=")
        if not (name and equals and address):
            raise UsageError(
                f"--pci {device}: must be NAME=ADDRESS", hint="for example gpu=0000:01:00.0"
            )
        found[name] = address
    return found
