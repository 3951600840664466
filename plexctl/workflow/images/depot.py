"""The verbs on the depot: fill, list, verify and prune it."""

from __future__ import annotations

import shutil

from plexctl.clients import process
from plexctl.clients.flux_build import FLUX_BUILD
from plexctl.depot.components import KubernetesRelease
from plexctl.depot.pins import KUBERNETES, PINS
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
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
from plexctl.workflow.images.recordings import prune as prune_recordings
from plexctl.workflow.images.store import depot
from plexctl.workflow.images.tools import found_tool
from plexctl.workflow.trust.gate import require_trust
from plexctl.workflow.trust.parts import PartKind

BACKUP = "backup"
"""The component with the program that saves etcd on masters."""

PINS_FILE = f"pins/{PINS}"


def fill(ctx: Context, sources: Sources) -> DepotResult:
    """Fill the depot with all components of every version of Kubernetes of the lab's plexes.

    Components that are there are verified. Without a plex, the newest version counts. Argo CD,
    which takes as long to build as Kubernetes, is only included if a plex uses it, and so is the
    program of scheduled backups. The program for `flux diff` is included if a plex uses Flux and
    this machine has Go, its only source.
    """
    require_trust(ctx, PartKind.PINS)
    store = Depot(depot(ctx).root, sources)
    with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
        for version in versions(ctx):
            release = ctx.pins.release(version)
            store.fill(release, [name for name in release.components if is_useful(ctx, name)], run)
            for reference in absent_images(ctx, release):
                run.note(
                    f"kubeadm {version} uses {reference}, which the pins do not have: nodes pull"
                    f" it from its registry (kubernetes.{version}.images in {PINS_FILE})"
                )
    return contents(ctx)


def absent_images(ctx: Context, release: KubernetesRelease) -> tuple[str, ...]:
    """The images that kubeadm of a version asks for, and that the lab's own pins lack.

    The built-in pins have them. A kubeadm that does not run on this machine says nothing.
    """
    if not (ctx.lab.root / PINS_FILE).exists():
        return ()
    kubeadm = found_tool(ctx, KUBERNETES, "kubeadm", release.version)
    if kubeadm is None:
        return ()
    words = ("config", "images", "list", f"--kubernetes-version=v{release.version}")
    try:
        asked = process.run((kubeadm, *words), timeout=30)
    except PlexError:
        return ()
    return tuple(sorted(set(asked.stdout.split()) - set(release.images.values())))


def is_useful(ctx: Context, component: str) -> bool:
    """Whether a plex of the lab may need a component."""
    plexes = ctx.lab.plexes.values()
    if component == GitopsEngine.ARGOCD:
        return any(plex.gitops and plex.gitops.engine is GitopsEngine.ARGOCD for plex in plexes)
    if component == FLUX_BUILD:
        uses_flux = any(plex.gitops and plex.gitops.engine is GitopsEngine.FLUX for plex in plexes)
        return uses_flux and shutil.which("go") is not None
    if component == BACKUP:
        return any(plex.backup for plex in plexes)
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
    """Delete from the depot what no supported version of Kubernetes needs, in any of its labs.

    Recordings that no lab has used for long are deleted, too.
    """
    pruned = depot(ctx).prune(ctx.pins, ctx.seed.lab_id)
    recordings = prune_recordings(ctx)
    freed = pruned.freed + recordings.freed
    return PruneResult(pruned.components, freed, pruned.kept, recordings.names)
