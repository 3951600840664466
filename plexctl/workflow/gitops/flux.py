"""The verbs `flux`: the apps of a running plex, which Flux applies."""

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
"""The name for the source, where an app is expected."""


def status(ctx: Context, plex: Plex) -> AppsResult:
    """The state of the apps. Changes nothing."""
    gitops = require_flux(plex)
    with _running(ctx, plex) as kube:
        return apps_result(plex.name, _apps(kube, gitops))


def reconcile(ctx: Context, plex: Plex, *, waiting: bool = True) -> AppsResult:
    """Request that Flux fetches and applies everything now, and wait for the apps."""
    gitops = require_flux(plex)
    with _run(ctx, plex, "reconcile") as run, _running(ctx, plex) as kube:
        with run.step(f"request reconciliation of {plex.name}") as step:
            names = [app.name for app in _apps(kube, gitops).apps]
            flux.request_reconciliation(kube, KINDS[gitops.source.kind], names)
            step.end(Outcome.CHANGED, ", ".join(names))
        return _wait(kube, plex, gitops, run, None, waiting=waiting)


def push(ctx: Context, plex: Plex, *, waiting: bool = True) -> PushResult:
    """Push the lab's tree to its registry, and wait until Flux has applied it."""
    gitops = require_flux(plex)
    if gitops.source.kind is not SourceKind.REGISTRY:
        raise UsageError(
            f"the apps of {plex.name} come from {gitops.source.url}",
            hint=f"push there, or set `gitops.source` to `registry` in {plex.file}",
        )
    with _run(ctx, plex, "push") as run, _running(ctx, plex) as kube:
        digest, new = push_tree(ctx, plex, run)
        flux.request_reconciliation(kube, KINDS[gitops.source.kind])
        result = _wait(kube, plex, gitops, run, digest, waiting=waiting)
        raise_if_left_behind(
            ctx,
            plex.hosts,
            "its registry still has the tree of an earlier push",
            "plexctl flux push",
        )
        return PushResult(plex.name, digest, new, run.seconds(), result)


def suspend(ctx: Context, plex: Plex, name: str, *, suspended: bool) -> AppsResult:
    """Suspend or resume an app, or SOURCE: Flux fetches nothing while that is suspended."""
    gitops = require_flux(plex)
    kind, app = KINDS[gitops.source.kind], "" if name == SOURCE else name
    verb = "suspend" if suspended else "resume"
    with _run(ctx, plex, verb) as run, _running(ctx, plex) as kube:
        with run.step(f"{verb} {name}"):
            if not flux.suspend(kube, kind, app, suspended=suspended):
                known = [SOURCE, *(one.name for one in _apps(kube, gitops).apps)]
                raise UsageError(
                    f"{plex.name} has no app {name}", hint=f"its apps are: {', '.join(known)}"
                )
        return apps_result(plex.name, _apps(kube, gitops))


def key(ctx: Context, plex: Plex) -> FluxKeyResult:
    """The public key with which Flux logs in to an ssh source."""
    return FluxKeyResult(plex.name, deploy_key(ctx.seed, plex.name).public)


def token(ctx: Context, plex: Plex, secret: Secret) -> TokenResult:
    """Store the token for an https or oci source. The next `up` gives it to the engine."""
    gitops = _require_gitops(plex)
    if gitops.source.kind not in (SourceKind.HTTPS, SourceKind.OCI):
        raise UsageError(
            f"the apps of {plex.name} come from {gitops.source.url or 'the registry'}",
            hint="only https:// and oci:// sources take a token",
        )
    changed = store_token(ctx, plex, secret)
    return TokenResult(plex.name, plex.file.parent / TOKEN, changed)


def require_flux(plex: Plex) -> Gitops:
    """The `gitops` of a plex. UsageError unless its engine is Flux."""
    gitops = _require_gitops(plex)
    if gitops.engine is not GitopsEngine.FLUX:
        raise UsageError(
            f"{plex.name} does not use Flux: its apps are applied by {gitops.engine}",
            hint=f"set `gitops.engine` to flux in {plex.file}",
        )
    return gitops


def _require_gitops(plex: Plex) -> Gitops:
    if plex.gitops is None:
        raise UsageError(
            f"{plex.name} has no `gitops` in its plex.yaml: no engine applies apps",
            hint=f"`plexctl init --gitops {plex.name}` adds it",
        )
    return plex.gitops


def _apps(kube: Kube, gitops: Gitops) -> Apps:
    return flux.apps(kube, KINDS[gitops.source.kind])


def _wait(
    kube: Kube, plex: Plex, gitops: Gitops, run: Run, digest: str | None, *, waiting: bool
) -> AppsResult:
    if not waiting:
        return apps_result(plex.name, _apps(kube, gitops))
    found = flux.wait_for_apps(kube, plex.name, KINDS[gitops.source.kind], run, digest)
    return apps_result(plex.name, found)


@contextmanager
def _run(ctx: Context, plex: Plex, verb: str) -> Iterator[Run]:
    with start(ctx.lab.state, verb, plex.name, ctx.listener) as run:
        yield run


@contextmanager
def _running(ctx: Context, plex: Plex) -> Iterator[Kube]:
    """A client of `plex`. PlexError with a hint if its API does not answer."""
    try:
        with cluster(plex, ctx.seed) as kube:
            yield kube
    except UnreachableError as error:
        raise PlexError(
            error.summary, details=error.details, hint=f"start it: `plexctl up {plex.name}`"
        ) from error
