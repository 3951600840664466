"""Templates on Proxmox hosts: of VMs, which are baked there, and of containers, which are not."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface
from pathlib import Path

from plexctl.bake.bake import BakedImage
from plexctl.bake.proxmox import BakeAddress, ensure_template
from plexctl.bake.vztmpl import carried_archive
from plexctl.clients.hosts import incus_hosts, proxmox_hosts
from plexctl.depot.index import Stored
from plexctl.errors import PlexError
from plexctl.model.nodes import FIRST_ADDRESS
from plexctl.model.plex import Link, Plex
from plexctl.plan.recipes import Recipe
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recipes import find_role


def template(
    ctx: Context, host: str, wanted: Recipe, stored: Mapping[str, Stored], run: Run
) -> BakedImage:
    """The template of a recipe on a Proxmox host, baked there if it is missing."""
    return ensure_template(
        proxmox_hosts(ctx.hosts)[host],
        wanted,
        artifacts=stored,
        find_role=lambda role: find_role(ctx, role),
        bench=lambda: bench(ctx, host),
        seed=ctx.seed,
        reporter=run,
        work=ctx.cache / "bake",
    )


def archive(ctx: Context, host: str, wanted: Recipe) -> BakedImage | None:
    """The containers' template of a recipe, if a Proxmox host has it."""
    for found in proxmox_hosts(ctx.hosts)[host].storage.archives():
        if wanted.name in found.names:
            return BakedImage(wanted.name, found.fingerprint, changed=False)
    return None


def carried_to_proxmox(
    ctx: Context, baker: str, host: str, image: BakedImage, run: Run, work: Path
) -> BakedImage:
    """A baked image of the Incus host `baker` as a containers' template on a Proxmox host."""
    return carried_archive(
        incus_hosts(ctx.hosts)[baker],
        proxmox_hosts(ctx.hosts)[host],
        image,
        ctx.seed.lab_id,
        run,
        work,
    )


def bench(ctx: Context, host: str) -> BakeAddress:
    """Where a VM is while it is baked: the last address of a plex that is on the host's bridge.

    Of each host of that plex another one, as they may bake at the same time.
    """
    plexes = [
        plex
        for plex in ctx.lab.plexes.values()
        if host in plex.hosts and plex.networks.link is Link.BRIDGE
    ]
    for plex in plexes:
        if found := _bench(ctx, plex, host):
            return found
    if plexes:
        raise PlexError(
            f"plex {plexes[0].name} is full: no address is left for a VM that is baked on {host}",
            hint="give it fewer workers or a larger network until the bake is done",
        )
    raise PlexError(
        f"it is not known which address a VM on host {host} may have while it is baked",
        hint=f"declare a plex on {host}, with `link: bridge`: it has the last one of its network",
    )


def _bench(ctx: Context, plex: Plex, host: str) -> BakeAddress | None:
    networks, bridge = plex.networks, ctx.lab.hosts[host].bridge
    assert bridge is not None, host  # the configuration is checked for it
    place = plex.hosts.index(host)
    number = networks.nodes.num_addresses - 2 - place
    if number <= FIRST_ADDRESS + plex.size:
        return None
    address = IPv4Interface((networks.nodes[number], networks.nodes.prefixlen))
    return BakeAddress(address, networks.gateway(place).ip, bridge, networks.vlan)
