"""The verbs `depot` and `bake`: what nodes are made of, before there is any node."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.errors import UsageError
from plexctl.model.events import Outcome
from plexctl.model.gitops import Engine
from plexctl.model.plex import ProvisionEngine
from plexctl.model.types import NodeType
from plexctl.workflow.baking import bake_types, depot, prune_images
from plexctl.workflow.context import Context
from plexctl.workflow.images import wanted_types
from plexctl.workflow.registry_plan import registry_release, registry_types
from plexctl.workflow.results import (
    BakeResult,
    DamagedRow,
    DepotResult,
    DepotRow,
    ImageRow,
    PruneResult,
    VerifyResult,
)
from plexctl.workflow.run import WHOLE_LAB, start

Wanted = dict[tuple[str, str], NodeType]
"""(host, type name) -> type."""


def fill(ctx: Context, sources: Sources) -> DepotResult:
    """Have all components of every version of Kubernetes that a plex of the lab has.

    Those that are there are verified; where there is no plex, the newest version counts. Argo CD,
    which takes as long to build as Kubernetes, is had only where a plex has it.
    """
    store = Depot(depot(ctx).root, sources)
    with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
        for version in versions(ctx):
            release = ctx.pins.release(version)
            store.fill(release, [name for name in release.components if _useful(ctx, name)], run)
    return contents(ctx)


def _useful(ctx: Context, component: str) -> bool:
    plexes = ctx.lab.plexes.values()
    if component == Engine.ARGOCD:
        return any(plex.gitops and plex.gitops.engine is Engine.ARGOCD for plex in plexes)
    if component == ProvisionEngine.TOFU:
        return any(plex.engine is ProvisionEngine.TOFU for plex in plexes)
    return True


def contents(ctx: Context) -> DepotResult:
    """What the depot has. Quick: nothing of it is read."""
    store = depot(ctx)
    rows = (
        DepotRow(
            stored.component,
            stored.version,
            str(stored.source),
            len(stored.artifacts),
            sum(artifact.size for artifact in stored.artifacts),
            stored.notes,
        )
        for stored in store.list()
    )
    return DepotResult(store.root, tuple(rows))


def verify(ctx: Context) -> VerifyResult:
    """Read every byte of the depot. What is damaged is forgotten, and made anew when needed."""
    store = depot(ctx)
    with start(ctx.lab.state, "verify", WHOLE_LAB, ctx.listener) as run:
        number = len(store.list())
        with run.step(f"every byte of {number} components") as step:
            damaged = tuple(
                DamagedRow(one.component, one.version, one.name, one.expected, one.found)
                for one in store.verify()
            )
            step.end(Outcome.CHANGED if damaged else Outcome.UNCHANGED)
    return VerifyResult(number, damaged)


def prune(ctx: Context) -> PruneResult:
    """Remove from the depot what no supported version of Kubernetes needs."""
    pruned = depot(ctx).prune(ctx.pins)
    return PruneResult(pruned.components, pruned.freed)


def bake(ctx: Context, types: Sequence[str], *, prune: bool = False) -> BakeResult:
    """Bake the images of `types`, or of all types that the lab's plexes have.

    With `prune`, images that no instance and no plex uses are removed once the new ones are there.
    """
    wanted = images_to_bake(ctx, types)
    rows = []
    with start(ctx.lab.state, "bake", WHOLE_LAB, ctx.listener) as run:
        for (version, _), those in wanted.items():
            for (host, name), image in bake_types(ctx, those, version, run).items():
                rows.append(ImageRow(name, host, version, image.name, image.changed))
        pruned = prune_images(ctx, run) if prune else ()
    return BakeResult(tuple(rows), pruned)


def images_to_bake(ctx: Context, types: Sequence[str]) -> dict[tuple[str, Engine | None], Wanted]:
    """By version of Kubernetes and engine of apps: what plexes want of `types`; empty means all.

    A type that no plex has is baked on the first host, for the newest version. UsageError for an
    unknown type, and if there is nothing to bake.
    """
    unknown = [name for name in types if name not in ctx.lab.types]
    if unknown:
        raise UsageError(
            f"there is no type {', '.join(unknown)}", hint=f"there are: {', '.join(ctx.lab.types)}"
        )
    wanted: dict[tuple[str, Engine | None], Wanted] = {}
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
            "the lab has no plex, and no type is named",
            hint=f"name some of {', '.join(ctx.lab.types)}",
        )
    return wanted


def versions(ctx: Context) -> tuple[str, ...]:
    """Versions of Kubernetes that plexes of the lab have; the newest where there is no plex."""
    used = {plex.kubernetes for plex in ctx.lab.plexes.values()}
    supported = ctx.pins.versions()
    return tuple(version for version in supported if version in used) or supported[:1]
