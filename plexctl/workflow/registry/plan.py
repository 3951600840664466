"""The resources of the lab's registry, and the changes that the hosts need for it."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.clients.hosts import incus_hosts
from plexctl.model.observed import HostState
from plexctl.model.registry import TYPE, Registry
from plexctl.model.types import NodeType
from plexctl.plan.resources.types import Instance, Owner
from plexctl.provision.change import Change, DiffOptions
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import UNBAKED, known_recipe

Names = Mapping[tuple[str, str], str]
"""(host, type) -> name of an image."""


def registry_types(ctx: Context) -> dict[tuple[str, str], NodeType]:
    """(host, type name) -> type of its nodes: one on each Incus host. Empty without a registry."""
    if ctx.lab.registry is None:
        return {}
    return {(host, TYPE): ctx.lab.types[TYPE] for host in incus_hosts(ctx.hosts)}


def registry_release(ctx: Context) -> str:
    """The version whose components it is baked from; Kubernetes itself is not in the image."""
    return ctx.pins.versions()[0]


def registry_images(ctx: Context) -> dict[tuple[str, str], str]:
    """Names of the images that it needs, or UNBAKED."""
    recipes = {
        key: known_recipe(ctx, node_type, registry_release(ctx), key[0])
        for key, node_type in registry_types(ctx).items()
    }
    return {key: found.name if found else UNBAKED for key, found in recipes.items()}


def registry_changes(
    ctx: Context,
    registry: Registry,
    names: Names,
    states: dict[str, HostState],
    *,
    replace: bool = False,
) -> tuple[Change, ...]:
    """The changes that the hosts need; with `replace`, its nodes are recreated in any case."""
    # This import takes long, and not every lab has a registry.
    from plexctl.plan.registry.node import registry_resources

    wanted = [
        resource
        for (host, _), node_type in registry_types(ctx).items()
        for resource in registry_resources(
            registry,
            node_type,
            ctx.seed,
            ctx.lab.hosts[host],
            ctx.hosts[host].facts(),
            names[host, TYPE],
        )
    ]
    instances = frozenset(one.key for one in wanted if isinstance(one, Instance))
    options = DiffOptions(
        Owner(ctx.seed.lab_id, registry.name), instances if replace else frozenset()
    )
    return ctx.engine.diff(wanted, states, options)
