"""What verbs about a plex's apps answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plexctl.model.apps import Apps, Sync


@dataclass(frozen=True, slots=True)
class AppRow:
    """A source, a Kustomization, or something that runs because of one."""

    kind: str
    name: str
    state: str  # "ready", "progressing", "waiting", "failed", "suspended"
    revision: str
    message: str


@dataclass(frozen=True, slots=True)
class AppsResult:
    plex: str
    healthy: bool
    rows: tuple[AppRow, ...]
    failures: tuple[str, ...]


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
    seconds: float  # until all was applied, or until it was sent where nobody waited
    apps: AppsResult


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """An object that a push would change."""

    app: str
    object: str  # "Deployment hello-world/hello-world"
    action: str  # "+", "~" or "-"
    text: str  # a unified diff, without the value of any secret


@dataclass(frozen=True, slots=True)
class DiffResult:
    plex: str
    changes: tuple[ObjectDiff, ...]
    failures: tuple[str, ...]  # what cannot be built, or would be refused


@dataclass(frozen=True, slots=True)
class RenderRow:
    """An app from a chart, as plain manifests."""

    app: str
    chart: str
    version: str
    file: Path
    changed: bool


@dataclass(frozen=True, slots=True)
class RenderResult:
    apps: tuple[RenderRow, ...]


@dataclass(frozen=True, slots=True)
class FluxKeyResult:
    plex: str
    public: str  # "ssh-ed25519 AAAA… comment"


@dataclass(frozen=True, slots=True)
class TokenResult:
    plex: str
    file: Path
    changed: bool
