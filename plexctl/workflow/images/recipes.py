"""The images that a plex needs, by the names of their recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from plexctl.bake.place import baking_host, temporary_folder
from plexctl.bake.roles import role_digests
from plexctl.config.builtin import overlay
from plexctl.depot.components import KubernetesRelease
from plexctl.depot.index import Index, Stored
from plexctl.depot.lock import Lock
from plexctl.model.nodes import nodes
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.types import NodeType
from plexctl.plan.recipes import Recipe, recipe
from plexctl.plan.resources.incus import kernel
from plexctl.workflow.core.context import Context

UNBAKED = "not yet baked"
"""Instead of the name of an image, while the depot lacks files that decide it."""


def depot_folder(ctx: Context) -> Path:
    return ctx.cache / "depot"


def depot_lock(ctx: Context) -> Lock:
    return Lock(ctx.lab.root / "depot.lock")


def wanted_types(plex: Plex) -> dict[tuple[str, str], NodeType]:
    """(host, type name) -> type, for all nodes of a plex."""
    return {(node.host, node.type.name): node.type for node in nodes(plex)}


def known_recipe(ctx: Context, node_type: NodeType, kubernetes: str, host: str) -> Recipe | None:
    """The recipe of a type's image; None while the depot lacks a component of it."""
    release = ctx.pins.release(kubernetes)
    stored = stored_components(ctx, release, components((node_type,)))
    return recipe_of(ctx, node_type, kubernetes, host, stored) if stored is not None else None


def names_of_images(ctx: Context, plex: Plex) -> dict[tuple[str, str], str]:
    """(host, type name) -> name of the image that a plex needs, or UNBAKED."""
    recipes = {
        key: known_recipe(ctx, node_type, plex.kubernetes, key[0])
        for key, node_type in wanted_types(plex).items()
    }
    return {key: found.name if found else UNBAKED for key, found in recipes.items()}


def missing_images(
    names: Mapping[tuple[str, str], str], states: Mapping[str, HostState]
) -> tuple[str, ...]:
    """Types whose image is missing on a host that needs it; unreachable hosts do not count."""
    missing = {
        t
        for (host, t), name in names.items()
        if states[host].unreachable is None and states[host].image(name) is None
    }
    return tuple(sorted(missing))


def find_role(ctx: Context, role: str) -> Path:
    return overlay(ctx.lab.root, "roles", role)


def components(types: Iterable[NodeType]) -> tuple[str, ...]:
    names = (name for t in types for layer in t.layers for name in layer.artifacts)
    return tuple(dict.fromkeys(names))


def stored_components(
    ctx: Context, release: KubernetesRelease, names: Iterable[str]
) -> dict[str, Stored] | None:
    """The components `names` of `release` in the depot; None unless it has all of them."""
    index, lock = Index.of(depot_folder(ctx)), depot_lock(ctx)
    found = {name: index.find(name, release) for name in names}
    whole = {name: stored for name, stored in found.items() if stored and lock.accepts(stored)}
    return whole if len(whole) == len(found) else None


def recipe_of(
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
        facts=kernel(node_type, ctx.hosts[host].facts()),
    )


def under_way(ctx: Context, host: str) -> bool:
    """Whether a bake for `host` is under way or was interrupted."""
    baker = baking_host(ctx.lab.hosts, ctx.lab.hosts[host])
    return temporary_folder(ctx.cache / "bake", baker).exists()
