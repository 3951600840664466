"""Images that a plex needs, known by their recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from plexctl.bake.roles import role_digests
from plexctl.config.builtin import overlay
from plexctl.depot.components import KubernetesRelease
from plexctl.depot.index import Index, Stored
from plexctl.errors import PlexError
from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.types import NodeType
from plexctl.plan.recipes import Recipe, recipe
from plexctl.plan.resources.incus import kernel
from plexctl.workflow.core.context import Context

UNBAKED = "not yet baked"
"""Stands for the name of an image whose recipe is not known until the depot is filled."""


UNDER_WAY = "tmp"
"""The folder that each bake on a host has while it lasts, as `plexctl.bake.lock` makes it."""


def depot_folder(ctx: Context) -> Path:
    return ctx.cache / "depot"


def wanted_types(plex: Plex) -> dict[tuple[str, str], NodeType]:
    """(host, type name) -> type, for all nodes of a plex."""
    return {(node.host, node.type.name): node.type for node in nodes(plex)}


def known_recipe(ctx: Context, node_type: NodeType, kubernetes: str, host: str) -> Recipe | None:
    """The recipe of a type's image as far as the depot is filled: None while it is not."""
    release = ctx.pins.release(kubernetes)
    stored = stored_components(ctx, release, components((node_type,)))
    return recipe_of(ctx, node_type, kubernetes, host, stored) if stored is not None else None


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
    """Types whose image is not on a host that needs it, as far as hosts answer."""
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
    """What the depot has of `release`; None unless it has all of them."""
    index = Index.of(depot_folder(ctx))
    found = {name: index.find(name, release) for name in names}
    whole = {name: stored for name, stored in found.items() if stored is not None}
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
    return (ctx.cache / "bake" / builder(ctx, ctx.lab.hosts[host]) / UNDER_WAY).exists()


def builder(ctx: Context, host: HostSpec) -> str:
    """The host that bakes for `host`: itself, or one whose Incus runs here.

    A bake shows its instance folders of this machine. PlexError if there is none that could.
    """
    return host.name if host.kind is HostKind.PROXMOX else incus_builder(ctx, host)


def incus_builder(ctx: Context, host: HostSpec) -> str:
    """The Incus server of this machine that bakes containers for `host`."""
    incus = [h for h in ctx.lab.hosts.values() if h.kind is HostKind.INCUS and h.local]
    if host in incus:
        return host.name
    if not incus:
        raise PlexError(
            f"nothing can bake for host {host.name}: no host of the lab is this machine",
            hint="add this machine's own Incus to clusters/hosts.yaml, as in `local: {}`; "
            "bin/quickstart installs it",
        )
    return incus[0].name
