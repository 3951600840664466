"""Results of commands about the apps of a plex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plexctl.model.apps import Apps, Sync


@dataclass(frozen=True, slots=True)
class AppRow:
    """A source, a Kustomization, or a workload that a Kustomization has created."""

    kind: str  # "Kustomization", "Deployment"
    name: str  # of a workload with its namespace: "shop/web"
    state: str  # "ready", "progressing", "waiting", "failed", "suspended"
    revision: str  # of the source that is applied; "" for a workload
    message: str  # why it is not ready


@dataclass(frozen=True, slots=True)
class AppsResult:
    plex: str
    healthy: bool  # whether all objects are ready
    objects: tuple[AppRow, ...]
    failures: tuple[str, ...]  # one line for each object that has failed


def apps_result(plex: str, apps: Apps) -> AppsResult:
    named = (*((apps.source,) if apps.source else ()), *apps.apps)
    rows = [AppRow(one.kind, one.name, one.sync, one.revision, one.message) for one in named]
    for one in apps.workloads:
        state = Sync.READY if one.ready else Sync.FAILED if one.failed else Sync.PROGRESSING
        rows.append(AppRow(one.kind, f"{one.namespace}/{one.name}", state, "", one.message))
    return AppsResult(plex, apps.synced, tuple(rows), apps.failures)


@dataclass(frozen=True, slots=True)
class PushResult:
    plex: str
    digest: str  # of the artifact
    changed: bool
    seconds: float  # until everything was applied, or with --no-wait until it was pushed
    apps: AppsResult


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """An object that a push would change."""

    app: str  # the Kustomization that it belongs to
    object: str  # "Deployment hello-world/hello-world"
    action: str  # "create", "update" or "delete"
    diff: str  # a unified diff, without the values of Secrets


@dataclass(frozen=True, slots=True)
class DiffResult:
    plex: str
    changes: tuple[ObjectDiff, ...]
    failures: tuple[str, ...]  # Kustomizations that cannot be built, and objects that are refused


@dataclass(frozen=True, slots=True)
class RenderRow:
    """The manifests that were rendered from an app's chart."""

    app: str
    chart: str
    version: str  # of the chart
    file: Path  # its manifests
    changed: bool


@dataclass(frozen=True, slots=True)
class RenderResult:
    apps: tuple[RenderRow, ...]


@dataclass(frozen=True, slots=True)
class FluxKeyResult:
    plex: str
    public_key: str  # "ssh-ed25519 AAAA… comment"


@dataclass(frozen=True, slots=True)
class TokenResult:
    plex: str
    file: Path  # the encrypted token
    changed: bool
