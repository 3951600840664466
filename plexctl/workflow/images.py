"""Images that a plex needs: known by their recipes, baked where they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from plexctl.bake.bake import BakedImage, ensure
from plexctl.bake.prune import prune
from plexctl.bake.roles import role_digests
from plexctl.config.builtin import overlay
from plexctl.depot.pins import KubernetesRelease
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot, Stored
from plexctl.model.events import Outcome
from plexctl.model.nodes import nodes
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.types import NodeType
from plexctl.plan.recipes import Recipe, layers, recipe
from plexctl.workflow.context import Context
from plexctl.workflow.run import Run

UNBAKED = "not yet baked"
"""Stands for the name of an image whose recipe is not known until the depot is filled."""


def depot(ctx: Context) -> Depot:
    return Depot(ctx.cache / "depot", Sources(lock=ctx.lab.root / "depot.lock"))


def wanted_types(plex: Plex) -> dict[tuple[str, str], NodeType]:
    """(host, type name) -> type, for all nodes of a plex."""
    return {(node.host, node.type.name): node.type for node in nodes(plex)}


def known_recipe(ctx: Context, node_type: NodeType, kubernetes: str, host: str) -> Recipe | None:
    """The recipe of a type's image as far as the depot is filled: None while it is not."""
    release = ctx.pins.release(kubernetes)
    stored = _stored(depot(ctx), release, _components((node_type,)))
    return _recipe(ctx, node_type, kubernetes, host, stored) if stored is not None else None


def names_of_images(ctx: Context, plex: Plex) -> dict[tuple[str, str], str]:
    """(host, type name) -> name of the image that a plex wants, UNBAKED where it is not known."""
    recipes = {
        key: known_recipe(ctx, node_type, plex.kubernetes, key[0])
        for key, node_type in wanted_types(plex).items()
    }
    return {key: found.name if found else UNBAKED for key, found in recipes.items()}


def missing_images(
    names: Mapping[tuple[str, str], str], states: Mapping[str, HostState]
) -> tuple[str, ...]:
    """Types whose image is not on a host that needs it."""
    missing = {t for (host, t), name in names.items() if states[host].image(name) is None}
    return tuple(sorted(missing))


def bake_types(
    ctx: Context, wanted: Mapping[tuple[str, str], NodeType], kubernetes: str, run: Run
) -> dict[tuple[str, str], BakedImage]:
    """Fill the depot and bake what is missing; what exists costs a look."""
    release = ctx.pins.release(kubernetes)
    store = depot(ctx)
    components = _components(wanted.values())
    stored = _stored(store, release, components)
    if stored is None:
        store.fill(release, components, run)
        stored = {name: found for name in components if (found := store.find(name, release))}
    images = {}
    for (host, name), node_type in wanted.items():
        images[host, name] = ensure(
            ctx.hosts[host],
            _recipe(ctx, node_type, kubernetes, host, stored),
            artifacts=stored,
            find_role=lambda role: find_role(ctx, role),
            facts=ctx.facts[host],
            lab=ctx.seed.lab_id,
            reporter=run,
            work=ctx.cache / "bake",
        )
    return images


def find_role(ctx: Context, role: str) -> Path:
    return overlay(ctx.lab.root, "roles", role)


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
    with run.step("images that no plex uses") as step:
        pruned = tuple(n for incus in ctx.hosts.values() for n in prune(incus, used))
        step.end(Outcome.CHANGED if pruned else Outcome.UNCHANGED, ", ".join(pruned))
    return pruned


def _components(types: Iterable[NodeType]) -> tuple[str, ...]:
    names = (name for t in types for layer in t.layers for name in layer.artifacts)
    return tuple(dict.fromkeys(names))


def _stored(
    store: Depot, release: KubernetesRelease, components: Iterable[str]
) -> dict[str, Stored] | None:
    found = {name: store.find(name, release) for name in components}
    whole = {name: stored for name, stored in found.items() if stored is not None}
    return whole if len(whole) == len(found) else None


def _recipe(
    ctx: Context,
    node_type: NodeType,
    kubernetes: str,
    host: str,
    stored: Mapping[str, Stored],
) -> Recipe:
    return recipe(
        node_type,
        kubernetes,
        roles=role_digests(lambda role: find_role(ctx, role), (node_type,)),
        artifacts={name: found.digest for name, found in stored.items()},
        facts=ctx.facts[host],
    )
