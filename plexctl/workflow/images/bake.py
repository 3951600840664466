"""The verb `bake`: bake images before nodes need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.bake.claims import is_claimed
from plexctl.bake.cleanup import needs_cleanup
from plexctl.errors import UnreachableHostError, UsageError
from plexctl.model.gitops import GitopsEngine
from plexctl.model.observed import HostState
from plexctl.model.types import NodeType
from plexctl.results.images import BakeResult, ImageRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.prefetch import Pending
from plexctl.workflow.images.recipes import known_recipe, under_way, wanted_types
from plexctl.workflow.images.recordings import prune as prune_recordings
from plexctl.workflow.images.recordings import unrecorded
from plexctl.workflow.registry.plan import registry_release, registry_types

Wanted = dict[tuple[str, str], NodeType]
"""(host, type name) -> type."""


def bake(
    ctx: Context, types: Sequence[str], hosts: Pending[dict[str, HostState]], *, prune: bool = False
) -> BakeResult:
    """Bake the images of `types`, or of all types that the lab's plexes have.

    `hosts` are the states of all hosts. With `prune`, images that no instance and no plex uses, and
    recordings that no lab has used for long, are deleted after the bake.
    """
    wanted = images_to_bake(ctx, types)
    if not prune and (there := _baked(ctx, wanted, hosts)):
        return BakeResult(there, ())
    # Not needed if all images are there: Ansible, and the sources of the depot.
    from plexctl.workflow.core.run import WHOLE_LAB, start
    from plexctl.workflow.images.ensure import bake_types, clean_up_hosts, prune_images

    rows = []
    with start(ctx.lab.state, "bake", WHOLE_LAB, ctx.listener) as run:
        clean_up_hosts(ctx, hosts.result(), run)
        for (version, _), those in wanted.items():
            for (host, name), image in bake_types(ctx, those, version, run).items():
                rows.append(ImageRow(name, host, version, image.name, image.changed))
        for unreachable in (
            ctx.hosts[host].unreachable for those in wanted.values() for host, _ in those
        ):
            if unreachable:
                raise UnreachableHostError(
                    unreachable.summary,
                    details=("all other images are baked",),
                    hint=unreachable.hint,
                )
        pruned = (*prune_images(ctx, run), *prune_recordings(ctx).names) if prune else ()
    return BakeResult(tuple(rows), pruned)


def _baked(
    ctx: Context,
    wanted: Mapping[tuple[str, GitopsEngine | None], Wanted],
    hosts: Pending[dict[str, HostState]],
) -> tuple[ImageRow, ...]:
    """The wanted images, if there is nothing to do, and no bake was interrupted.

    They are marked as the lab's then, and every recording is there that can be made.
    """
    rows = []
    for (version, _), those in wanted.items():
        if any(unrecorded(ctx, those, version).values()):
            return ()
        for (host, name), node_type in those.items():
            found = known_recipe(ctx, node_type, version, host)
            if found is None or under_way(ctx, host):
                return ()
            rows.append(ImageRow(name, host, version, found.name, False))
    states = hosts.result()
    there = all(states[row.host].image(row.name) for row in rows)
    if not there or any(map(needs_cleanup, states.values())):
        return ()
    claimed = (states[row.host].image(row.name) for row in rows)
    return tuple(rows) if all(i and is_claimed(i, ctx.seed.lab_id) for i in claimed) else ()


def images_to_bake(
    ctx: Context, types: Sequence[str]
) -> dict[tuple[str, GitopsEngine | None], Wanted]:
    """The types that plexes use, by version of Kubernetes and GitOps engine; only `types`, if any.

    A type that no plex uses is baked on the first host, for the newest version. UsageError for an
    unknown type, or if there is nothing to bake.
    """
    unknown = [name for name in types if name not in ctx.lab.types]
    if unknown:
        raise UsageError(
            f"there is no type {', '.join(unknown)}", hint=f"there are: {', '.join(ctx.lab.types)}"
        )
    wanted: dict[tuple[str, GitopsEngine | None], Wanted] = {}
    for plex in ctx.lab.plexes.values():
        batch = (plex.kubernetes, plex.gitops.engine if plex.gitops else None)
        for (host, name), node_type in wanted_types(plex).items():
            if not types or name in types:
                wanted.setdefault(batch, {})[host, name] = node_type
    for (host, name), node_type in registry_types(ctx).items():
        if not types or name in types:
            wanted.setdefault((registry_release(ctx), None), {})[host, name] = node_type
    had = {name for those in wanted.values() for _, name in those}
    for name in types:
        if name not in had:
            host = next(iter(ctx.lab.hosts))
            plain = ctx.lab.types[name].with_engine(None)
            wanted.setdefault((versions(ctx)[0], None), {})[host, name] = plain
    if not wanted:
        raise UsageError(
            "nothing to bake: the lab has no plex, and no type is given",
            hint=f"give types: {', '.join(ctx.lab.types)}",
        )
    return wanted


def versions(ctx: Context) -> tuple[str, ...]:
    """The versions of Kubernetes of the lab's plexes; the newest if there is no plex."""
    used = {plex.kubernetes for plex in ctx.lab.plexes.values()}
    supported = ctx.pins.versions()
    return tuple(version for version in supported if version in used) or supported[:1]
