"""The verbs `flux`: what brings up the apps of a running plex."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.bootstrap import flux
from plexctl.bootstrap.cluster import cluster
from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.errors import PlexError, UsageError
from plexctl.keys.lab import deploy_key
from plexctl.model.apps import Apps
from plexctl.model.events import Outcome
from plexctl.model.gitops import Gitops, GitopsEngine, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.gitops.flux_sync import KINDS
from plexctl.results.apps import (
    AppsResult,
    FluxKeyResult,
    PushResult,
    TokenResult,
    apps_result,
)
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.core.unreachable import raise_if_left_behind
from plexctl.workflow.gitops.delivery import TOKEN, store_token
from plexctl.workflow.gitops.tree import push_tree

SOURCE = "source"
"""Stands for the source where an app is named."""


def status(ctx: Context, plex: Plex) -> AppsResult:
    """What Flux has done; asks only."""
    gitops = flux_of(plex)
    with _running(ctx, plex) as kube:
        return apps_result(plex.name, _apps(kube, gitops))


def reconcile(ctx: Context, plex: Plex, *, waiting: bool = True) -> AppsResult:
    """Have Flux fetch and apply now, and wait until the apps are there."""
    gitops = flux_of(plex)
    with _run(ctx, plex, "reconcile") as run, _running(ctx, plex) as kube:
        with run.step("have Flux look again") as step:
            names = [app.name for app in _apps(kube, gitops).apps]
            flux.request(kube, KINDS[gitops.source.kind], names)
            step.end(Outcome.CHANGED, ", ".join(names))
        return _waited(kube, plex, gitops, run, None, waiting=waiting)


def push(ctx: Context, plex: Plex, *, waiting: bool = True) -> PushResult:
    """Send the lab's tree to its registry and have Flux apply it."""
    gitops = flux_of(plex)
    if gitops.source.kind is not SourceKind.REGISTRY:
        raise UsageError(
            f"the apps of {plex.name} come from {gitops.source.url}",
            hint="push there, or write `source: registry` in its plex.yaml",
        )
    with _run(ctx, plex, "push") as run, _running(ctx, plex) as kube:
        digest, new = push_tree(ctx, plex, run)
        flux.request(kube, KINDS[gitops.source.kind])
        result = _waited(kube, plex, gitops, run, digest, waiting=waiting)
        raise_if_left_behind(
            ctx, plex.hosts, "its registry has what was pushed before", "plexctl flux push"
        )
        return PushResult(plex.name, digest, new, run.seconds(), result)


def suspend(ctx: Context, plex: Plex, name: str, *, suspended: bool) -> AppsResult:
    """Have Flux leave an app as it is (SOURCE: fetch nothing more), or go on."""
    gitops = flux_of(plex)
    kind, app = KINDS[gitops.source.kind], "" if name == SOURCE else name
    verb = "suspend" if suspended else "resume"
    with _run(ctx, plex, verb) as run, _running(ctx, plex) as kube:
        with run.step(f"{verb} {name}"):
            if not flux.suspend(kube, kind, app, suspended=suspended):
                known = [SOURCE, *(one.name for one in _apps(kube, gitops).apps)]
                raise UsageError(
                    f"{plex.name} has no app {name}", hint=f"there are: {', '.join(known)}"
                )
        return apps_result(plex.name, _apps(kube, gitops))


def key(ctx: Context, plex: Plex) -> FluxKeyResult:
    """The public half of what Flux reads an ssh source with."""
    return FluxKeyResult(plex.name, deploy_key(ctx.seed, plex.name).public)


def token(ctx: Context, plex: Plex, secret: Secret) -> TokenResult:
    """Keep what an https or oci source is read with, by any engine; the next `up` hands it over."""
    gitops = _gitops_of(plex)
    if gitops.source.kind not in (SourceKind.HTTPS, SourceKind.OCI):
        raise UsageError(
            f"the apps of {plex.name} come from {gitops.source.url or 'the registry'}",
            hint="a token goes with an https:// or oci:// source",
        )
    changed = store_token(ctx, plex, secret)
    return TokenResult(plex.name, plex.file.parent / TOKEN, changed)


def flux_of(plex: Plex) -> Gitops:
    """The gitops of a plex that has Flux; UsageError for any other."""
    gitops = _gitops_of(plex)
    if gitops.engine is not GitopsEngine.FLUX:
        raise UsageError(f"the apps of {plex.name} are brought up by {gitops.engine}")
    return gitops


def _gitops_of(plex: Plex) -> Gitops:
    if plex.gitops is None:
        raise UsageError(
            f"nothing brings up the apps of {plex.name}",
            hint=f"`plexctl init --gitops {plex.name}` writes what it takes",
        )
    return plex.gitops


def _apps(kube: Kube, gitops: Gitops) -> Apps:
    return flux.apps(kube, KINDS[gitops.source.kind])


def _waited(
    kube: Kube, plex: Plex, gitops: Gitops, run: Run, digest: str | None, *, waiting: bool
) -> AppsResult:
    if not waiting:
        return apps_result(plex.name, _apps(kube, gitops))
    watch = flux.watch(kube, plex.name, KINDS[gitops.source.kind], run, digest)
    return apps_result(plex.name, watch.wait())


@contextmanager
def _run(ctx: Context, plex: Plex, verb: str) -> Iterator[Run]:
    with start(ctx.lab.state, verb, plex.name, ctx.listener) as run:
        yield run


@contextmanager
def _running(ctx: Context, plex: Plex) -> Iterator[Kube]:
    try:
        with cluster(plex, ctx.seed) as kube:
            yield kube
    except UnreachableError as error:
        raise PlexError(
            error.summary, details=error.details, hint=f"`plexctl up {plex.name}`"
        ) from error
