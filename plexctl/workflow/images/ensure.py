"""Images baked where they are missing, and removed where nothing uses them."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.bake import shared
from plexctl.bake.bake import BakedImage, ensure
from plexctl.bake.cleanup import sweep
from plexctl.bake.copy import carried
from plexctl.bake.lock import BakeLock
from plexctl.bake.prune import prune
from plexctl.clients.hosts import incus_hosts
from plexctl.depot.index import Stored
from plexctl.errors import UnreachableHostError
from plexctl.model.events import Outcome
from plexctl.model.kinds import HostKind
from plexctl.model.types import Form, NodeType
from plexctl.plan.recipes import Recipe, layers
from plexctl.plan.resources.incus import kernel
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recipes import (
    components,
    find_role,
    incus_builder,
    known_recipe,
    recipe_of,
    stored_components,
    wanted_types,
)
from plexctl.workflow.images.store import depot
from plexctl.workflow.images.templates import archive, carried_to_proxmox, template
from plexctl.workflow.registry.plan import registry_release, registry_types


def bake_types(
    ctx: Context, wanted: Mapping[tuple[str, str], NodeType], kubernetes: str, run: Run
) -> dict[tuple[str, str], BakedImage]:
    """Fill the depot and bake what is missing; what exists costs a look.

    Nothing for hosts that do not answer.
    """
    release = ctx.pins.release(kubernetes)
    names = components(wanted.values())
    stored = stored_components(ctx, release, names)
    if stored is None:
        stored = {found.component: found for found in depot(ctx).fill(release, names, run)}
    images = {}
    for (host, name), node_type in wanted.items():
        if ctx.hosts[host].unreachable:
            continue
        try:
            found = recipe_of(ctx, node_type, kubernetes, host, stored)
            images[host, name] = _baked(ctx, host, found, node_type, stored, run)
        except UnreachableHostError:
            if ctx.hosts[host].unreachable is None:
                raise
    return images


def _baked(
    ctx: Context,
    host: str,
    wanted: Recipe,
    node_type: NodeType,
    stored: Mapping[str, Stored],
    run: Run,
) -> BakedImage:
    """The image on `host`: baked there, or on a host of this machine and carried over.

    A Proxmox host bakes its own templates of VMs; its containers are made of Incus images.
    """
    proxmox = ctx.lab.hosts[host].kind is HostKind.PROXMOX
    if proxmox and wanted.base.form is Form.VM:
        return template(ctx, host, wanted, stored, run)
    if proxmox and (found := archive(ctx, host, wanted)):
        return found
    baker = incus_builder(ctx, ctx.lab.hosts[host])
    baked = ensure(
        incus_hosts(ctx.hosts)[baker],
        wanted,
        artifacts=stored,
        find_role=lambda role: find_role(ctx, role),
        facts=ctx.hosts[baker].facts(),
        nodes=kernel(node_type, ctx.hosts[host].facts()),
        lab=ctx.seed.lab_id,
        reporter=run,
        work=ctx.cache / "bake",
    )
    if proxmox:
        with BakeLock(ctx.cache / "bake" / host, lambda: None, run).alone() as work:
            return carried_to_proxmox(ctx, baker, host, baked, run, work)
    return baked if baker == host else _carried(ctx, baker, host, wanted, baked, run)


def _carried(
    ctx: Context, baker: str, host: str, wanted: Recipe, image: BakedImage, run: Run
) -> BakedImage:
    """An image, and what its nodes share, on a host that did not bake it."""
    servers, lab = incus_hosts(ctx.hosts), ctx.seed.lab_id
    incus = servers[host]
    there = next((one for one in incus.images.list() if image.name in one.names), None)
    if there and shared.is_whole(incus, wanted):
        return BakedImage(image.name, there.fingerprint, changed=False)
    with BakeLock(ctx.cache / "bake" / host, lambda: sweep(incus, lab), run).alone():
        got = carried(servers[baker], incus, image, run)
        if not shared.is_whole(incus, wanted):
            with run.step(f"what nodes of {image.name} share on host {host}"):
                shared.fill(incus, wanted, got.fingerprint, incus.facts(), lab)
    return got


def prune_images(ctx: Context, run: Run, *, without: str = "") -> tuple[str, ...]:
    """Remove baked images that no instance has and no plex of the lab wants; their names.

    `without` is a plex that wants nothing any more, as it is destroyed.
    """
    used = {
        layer.name
        for plex in ctx.lab.plexes.values()
        if plex.name != without
        for (host, _), node_type in wanted_types(plex).items()
        if (found := known_recipe(ctx, node_type, plex.kubernetes, host))
        for layer in layers(found)
    }
    used |= {
        layer.name
        for (host, _), node_type in registry_types(ctx).items()
        if (found := known_recipe(ctx, node_type, registry_release(ctx), host))
        for layer in layers(found)
    }
    with run.step("images that no plex uses") as step:
        pruned = tuple(n for incus in ctx.hosts.values() for n in prune(incus, used))
        step.end(Outcome.CHANGED if pruned else Outcome.UNCHANGED, ", ".join(pruned))
    return pruned
