"""The state of a plex' apps, whichever engine applies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

WAITS = ("DependencyNotReady", "Progressing", "ProgressingWithRetry", "ArtifactNotFound")
"""Reasons of a Ready condition that are no failure: they may pass with time."""


class Sync(StrEnum):
    READY = "ready"
    PROGRESSING = "progressing"
    WAITING = "waiting"  # for a dependency
    FAILED = "failed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class App:
    """A source or a Kustomization of Flux, or an Application of Argo CD."""

    kind: str  # "GitRepository", "Kustomization"
    name: str
    namespace: str
    sync: Sync
    message: str
    revision: str  # what it fetched or applied last
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet or HelmRelease of an app."""

    kind: str
    namespace: str
    name: str
    ready: bool
    message: str
    failed: bool = False  # it will not become ready by itself

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Apps:
    """All apps of a plex at one instant."""

    source: App | None
    apps: tuple[App, ...]
    workloads: tuple[Workload, ...] = ()

    @property
    def synced(self) -> bool:
        """Whether all apps are applied from the source's revision, and all workloads are ready."""
        settled = (Sync.READY, Sync.SUSPENDED)
        return (
            self.source is not None
            and self.source.sync in settled
            and bool(self.apps)
            and all(app.sync in settled for app in self.apps)
            and all(workload.ready for workload in self.workloads)
        )

    def after(self, before: Apps) -> Apps:
        """This state, in which an app that failed `before` and is only retried counts as failed."""
        same = self.source and before.source and self.source.revision == before.source.revision
        failed = {app.name: app for app in before.apps if app.sync is Sync.FAILED}
        if not same or not failed:
            return self
        apps = tuple(
            failed[app.name] if app.sync is Sync.PROGRESSING and app.name in failed else app
            for app in self.apps
        )
        return replace(self, apps=apps)

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each failed object, with the reason."""
        named = [self.source] if self.source else []
        lines = [
            f"{one.kind} {one.name}: {one.message}"
            for one in (*named, *self.apps)
            if one.sync is Sync.FAILED
        ]
        return (*lines, *(f"{one}: {one.message}" for one in self.workloads if one.failed))

    @property
    def stuck(self) -> bool:
        """Whether only failed apps and apps that wait for them are left."""
        if self.source is not None and self.source.sync is Sync.FAILED:
            return True
        lost = {app.name for app in self.apps if app.sync is Sync.FAILED}
        size = -1
        while size != len(lost):
            size = len(lost)
            lost |= {app.name for app in self.apps if lost.intersection(app.depends_on)}
        going = [app for app in self.apps if app.sync in (Sync.PROGRESSING, Sync.WAITING)]
        return (
            bool(self.failures)
            and all(app.name in lost for app in going)
            and all(one.ready or one.failed for one in self.workloads)
        )

    @property
    def summary(self) -> str:
        """ "2 of 5 applied; infra progressing, hello-world waiting"."""
        ready = sum(app.sync is Sync.READY for app in self.apps)
        parts = [f"{app.name} {app.sync}" for app in self.apps if app.sync is not Sync.READY]
        parts += [f"{one.name} starting" for one in self.workloads if not one.ready]
        if self.source is None or self.source.sync is not Sync.READY:
            parts.insert(0, f"source {self.source.sync if self.source else 'missing'}")
        rest = f"; {', '.join(parts[:5])}" if parts else ""
        return f"{ready} of {len(self.apps)} applied{rest}"


def short(revision: str) -> str:
    """A revision with a short digest: "tree@sha256:01234567"."""
    head, mark, digest = revision.rpartition(":")
    return f"{head}{mark}{digest[:8]}" if mark else revision


def find_cycle(depends_on: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names that depend on each other in a cycle, the first again at the end; empty if none do."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if name in path:
            return (*path[path.index(name) :], name)
        if name in done:
            return ()
        for other in depends_on.get(name, ()):
            if found := visit(other, (*path, name)):
                return found
        done.add(name)
        return ()

    for name in depends_on:
        if found := visit(name, ()):
            return found
    return ()
