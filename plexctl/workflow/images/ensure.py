"""Bake the images that are missing, and delete those that nothing uses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from filelock import Timeout

from plexctl.bake.claims import claim, is_claimed
from plexctl.bake.cleanup import needs_cleanup, sweep
from plexctl.bake.lock import BakeLock
from plexctl.bake.prune import prune
from plexctl.clients.hosts import incus_hosts
from plexctl.depot.users import DepotUsers
from plexctl.errors import UnreachableHostError
from plexctl.model.events import Outcome
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.types import NodeType
from plexctl.plan.recipes import layers
from plexctl.plan.resources.incus import kernel
from plexctl.workflow.core.clients import command_folder
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recipes import (
    components,
    depot_folder,
    depot_lock,
    find_role,
    known_recipe,
    recipe_of,
    stored_components,
    wanted_types,
)
from plexctl.workflow.images.recordings import unrecorded
from plexctl.workflow.images.store import depot
from plexctl.workflow.registry.plan import registry_release, registry_types

if TYPE_CHECKING:
    from plexctl.bake.builder import BakedImage


def bake_types(
    ctx: Context, wanted: Mapping[tuple[str, str], NodeType], kubernetes: str, run: Run
) -> dict[tuple[str, str], BakedImage]:
    """Fill the depot and bake the images that are missing, by (host, type name).

    Then make the recordings that new clusters start with, where they are missing. Hosts that do
    not answer are left out. UsageError, before anything runs, for parts of the lab that the user
    has not trusted.
    """
    # Few runs of `up` bake.
    from plexctl.bake.builder import BakeSetup
    from plexctl.bake.hosts import image_builder
    from plexctl.workflow.images.address import bake_address
    from plexctl.workflow.trust.gate import require_trust
    from plexctl.workflow.trust.parts import PartKind

    require_trust(ctx, PartKind.ROLE, PartKind.PINS, PartKind.BASES)
    release = ctx.pins.release(kubernetes)
    names = components(wanted.values())
    stored = stored_components(ctx, release, names)
    if stored is None:
        stored = {found.component: found for found in depot(ctx).fill(release, names, run)}
    for found in stored.values():  # every clone of the lab takes the same bytes
        depot_lock(ctx).keep(found.locked)
    work = ctx.cache / "bake"
    config = partial(command_folder, ctx.lab, ctx.seed)
    setup = BakeSetup(stored, partial(find_role, ctx), ctx.seed, run, work, config)
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
    if unrecorded(ctx, wanted, kubernetes):
        from plexctl.workflow.images.reference import record_missing  # seldom: once for a version

        record_missing(ctx, wanted, images, kubernetes, run)
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
        gone = DepotUsers.of(depot_folder(ctx)).gone()
        done = [prune(host, used, ctx.seed.lab_id, gone) for host in ctx.hosts.values()]
        pruned = tuple(name for one in done for name in one.deleted)
        step.end(Outcome.CHANGED if pruned else Outcome.UNCHANGED, ", ".join(pruned))
    for name, reason in {name: why for one in done for name, why in one.kept.items()}.items():
        run.note(f"image {name} stays: {reason}")
    return pruned


def claim_images(
    ctx: Context,
    plex: Plex,
    names: Mapping[tuple[str, str], str],
    states: Mapping[str, HostState],
) -> None:
    """Mark the images of a plex, and all layers below, as used by the lab.

    Without any call when they have the mark, as after the first time.
    """
    lab = ctx.seed.lab_id
    for (host, type_name), name in names.items():
        found = states[host].image(name)
        if found is None or is_claimed(found, lab):
            continue
        node_type = wanted_types(plex)[host, type_name]
        top = known_recipe(ctx, node_type, plex.kubernetes, host)
        wanted = (layer.name for layer in layers(top)) if top else (name,)
        claim(ctx.hosts[host], states[host].images, wanted, lab)


def clean_up_hosts(ctx: Context, states: Mapping[str, HostState], run: Run) -> None:
    """Delete what killed bakes of any lab have left on hosts, unless a bake is under way there."""
    for name, host in incus_hosts(ctx.hosts).items():
        if needs_cleanup(states[name]):
            sweep_all = partial(sweep, host, ctx.seed.lab_id)
            lock = BakeLock(ctx.cache / "bake", name, sweep_all, run)
            with suppress(Timeout), lock.alone(waiting=False):
                run.note(f"what an interrupted bake left on host {name} is deleted")
