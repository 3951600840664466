"""The verbs on the depot: fill, list, verify and prune it."""

from __future__ import annotations

from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.model.events import Outcome
from plexctl.model.gitops import GitopsEngine
from plexctl.model.kinds import ProvisionEngine
from plexctl.results.images import (
    DamagedRow,
    DepotResult,
    DepotRow,
    PruneResult,
    VerifyResult,
)
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images.bake import versions
from plexctl.workflow.images.store import depot


def fill(ctx: Context, sources: Sources) -> DepotResult:
    """Fill the depot with all components of every version of Kubernetes of the lab's plexes.

    Components that are there are verified. Without a plex, the newest version counts. Argo CD,
    which takes as long to build as Kubernetes, is only included if a plex uses it.
    """
    store = Depot(depot(ctx).root, sources)
    with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
        for version in versions(ctx):
            release = ctx.pins.release(version)
            store.fill(release, [name for name in release.components if _useful(ctx, name)], run)
    return contents(ctx)


def _useful(ctx: Context, component: str) -> bool:
    plexes = ctx.lab.plexes.values()
    if component == GitopsEngine.ARGOCD:
        return any(plex.gitops and plex.gitops.engine is GitopsEngine.ARGOCD for plex in plexes)
    if component == ProvisionEngine.TOFU:
        return any(plex.engine is ProvisionEngine.TOFU for plex in plexes)
    return True


def contents(ctx: Context) -> DepotResult:
    """The components in the depot. Quick: no content is read."""
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
    """Verify every byte of the depot. Damaged files are deleted, and fetched again when needed."""
    store = depot(ctx)
    with start(ctx.lab.state, "verify", WHOLE_LAB, ctx.listener) as run:
        number = len(store.list())
        with run.step(f"verify {number} components") as step:
            damaged = tuple(
                DamagedRow(one.component, one.version, one.name, one.expected, one.found)
                for one in store.verify()
            )
            step.end(Outcome.CHANGED if damaged else Outcome.UNCHANGED)
    return VerifyResult(number, damaged)


def prune(ctx: Context) -> PruneResult:
    """Delete from the depot the components that no supported version of Kubernetes needs."""
    pruned = depot(ctx).prune(ctx.pins)
    return PruneResult(pruned.components, pruned.freed)
