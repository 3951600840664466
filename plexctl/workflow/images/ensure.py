"""Bake the images that are missing, and delete those that nothing uses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.hosts import image_builder
from plexctl.bake.prune import prune
from plexctl.errors import UnreachableHostError
from plexctl.model.events import Outcome
from plexctl.model.types import NodeType
from plexctl.plan.recipes import layers
from plexctl.plan.resources.incus import kernel
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.address import bake_address
from plexctl.workflow.images.recipes import (
    components,
    depot_lock,
    find_role,
    known_recipe,
    recipe_of,
    stored_components,
    wanted_types,
)
from plexctl.workflow.images.store import depot
from plexctl.workflow.registry.plan import registry_release, registry_types


def bake_types(
    ctx: Context, wanted: Mapping[tuple[str, str], NodeType], kubernetes: str, run: Run
) -> dict[tuple[str, str], BakedImage]:
    """Fill the depot and bake the images that are missing, by (host, type name).

    Hosts that do not answer are left out.
    """
    release = ctx.pins.release(kubernetes)
    names = components(wanted.values())
    stored = stored_components(ctx, release, names)
    if stored is None:
        stored = {found.component: found for found in depot(ctx).fill(release, names, run)}
    for found in stored.values():  # every clone of the lab takes the same bytes
        depot_lock(ctx).keep(found.locked)
    work = ctx.cache / "bake"
    setup = BakeSetup(stored, partial(find_role, ctx), ctx.seed, run, work)
    images = {}
    for (host, name), node_type in wanted.items():
        if ctx.hosts[host].unreachable:
            continue
        try:
            builder = image_builder(ctx.hosts, host, setup, partial(bake_address, ctx.lab, host))
            wanted_recipe = recipe_of(ctx, node_type, kubernetes, host, stored)
            nodes = kernel(node_type, ctx.hosts[host].facts())
            images[host, name] = builder.ensure(wanted_recipe, nodes)
        except UnreachableHostError:
            if ctx.hosts[host].unreachable is None:
                raise
    return images


def prune_images(ctx: Context, run: Run, *, without: str = "") -> tuple[str, ...]:
    """Delete baked images that no instance has and no plex of the lab wants; their names.

    `without` is a plex that is being destroyed: its images are not wanted.
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
    with run.step("delete unused images") as step:
        pruned = tuple(n for host in ctx.hosts.values() for n in prune(host, used))
        step.end(Outcome.CHANGED if pruned else Outcome.UNCHANGED, ", ".join(pruned))
    return pruned
