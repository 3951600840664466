"""Flux in a running plex: put there, told to look again, and asked what it has done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plexctl.bootstrap.gitops import SyncWatch
from plexctl.bootstrap.workloads import workloads
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.apps import WAITS, App, Apps, Sync, find_cycle, short
from plexctl.model.condition import Clock
from plexctl.model.events import Reporter
from plexctl.plan.gitops.flux_install import NAMESPACE
from plexctl.plan.gitops.flux_sync import NAME

RETRIED = "artifact not found, retrying"
"""What Flux says of a source that it fetches once more, with the reason of a failure."""

KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1"
SOURCES = "/apis/source.toolkit.fluxcd.io/v1"
PLURALS = {"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories"}
UNHEARD = 3.0
"""Seconds after which an app has not heard of an artifact; they hear within a tenth of one."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"


def apps(kube: Kube, kind: str, *, revision: str | None = None) -> Apps:
    """What Flux has done. `kind` is that of the source; `revision` what it must have fetched.

    UnreachableError while the API does not know Flux.
    """
    found = kube.read(f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}")
    listed = kube.read(f"{KUSTOMIZATIONS}/kustomizations") or {"items": []}
    source = _source(found, kind, revision) if found else None
    artifact = source.revision if source and source.sync is Sync.READY else None
    kustomizations = [one for one in listed["items"] if _ours(one, kind)]
    states = tuple(sorted((_app(one, artifact) for one in kustomizations), key=_order))
    done = all(app.sync in (Sync.READY, Sync.SUSPENDED, Sync.FAILED) for app in states)
    running = workloads(kube, _inventory(kustomizations)) if states and done else ()
    return Apps(source, states, running)


def watch(
    kube: Kube, plex: str, kind: str, reporter: Reporter, revision: str | None = None
) -> SyncWatch:
    """Waits until Flux has applied `revision`, or the newest, and all of that runs."""

    nudge = ReconcileRequest(kube)

    def look() -> Apps:
        found = apps(kube, kind, revision=revision)
        nudge(found)
        no_cycle(found)
        return found

    return SyncWatch(plex, look, reporter, f"plexctl flux status {plex}")


@dataclass(slots=True)
class ReconcileRequest:
    """Tells Kustomizations of an artifact that they have not heard of, once for each artifact.

    Where a tree has a circle of dependencies, Flux tells none of them of the next artifact, which
    would be the one without it; they would look at their next interval only.
    """

    kube: Kube
    clock: Clock = field(default_factory=Clock)
    _artifact: tuple[str, float] = ("", 0.0)
    _told: bool = False

    def __call__(self, seen: Apps) -> None:
        revision = seen.source.revision if seen.source and seen.source.sync is Sync.READY else ""
        if revision != self._artifact[0]:
            self._artifact, self._told = (revision, self.clock.now()), False
        late = [app.name for app in seen.apps if app.sync is Sync.PROGRESSING]
        if not revision or self._told or self.clock.now() - self._artifact[1] < UNHEARD:
            return
        self._told = True
        if late:
            now = {REQUESTED: datetime.now(UTC).isoformat()}
            for name in late:
                self.kube.annotate(_kustomization(name), now)


def _kustomization(name: str) -> str:
    return f"{KUSTOMIZATIONS}/namespaces/{NAMESPACE}/kustomizations/{name}"


def request(kube: Kube, kind: str, names: Iterable[str] = ()) -> None:
    """Have Flux fetch the source now, and apply the named Kustomizations."""
    now = {REQUESTED: datetime.now(UTC).isoformat()}
    source = f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}"
    if not kube.annotate(source, now):
        raise PlexError("Flux has no source in this plex", hint="`plexctl up` puts it there")
    for name in names:
        kube.annotate(_kustomization(name), now)


def suspend(kube: Kube, kind: str, name: str, *, suspended: bool) -> bool:
    """Have Flux leave an app as it is, or go on; without a name the source. False: no such app."""
    path = (
        _kustomization(name) if name else f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}"
    )
    return kube.patch(path, {"spec": {"suspend": suspended}})


def no_cycle(seen: Apps) -> None:
    """PlexError if the tree that was applied last has apps that wait for each other for ever."""
    first = next((app for app in seen.apps if app.name == NAME), None)
    if first is None or first.sync is not Sync.READY:
        return
    circle = find_cycle({app.name: app.depends_on for app in seen.apps})
    if circle:
        raise PlexError(
            f"Kustomizations wait for each other: {' -> '.join(circle)}",
            hint="take one `dependsOn` out, and push again",
        )


def _ours(kustomization: Mapping[str, Any], kind: str) -> bool:
    reference = kustomization["spec"]["sourceRef"]
    namespace = reference.get("namespace", kustomization["metadata"]["namespace"])
    return (reference["kind"], reference["name"], namespace) == (kind, NAME, NAMESPACE)


def _source(found: Mapping[str, Any], kind: str, wanted: str | None) -> App:
    revision = found.get("status", {}).get("artifact", {}).get("revision", "")
    sync, message = _ready(found)
    if sync is Sync.READY and wanted is not None and not revision.endswith(wanted):
        sync, message = Sync.PROGRESSING, f"has {short(revision)}, {short(wanted)} is wanted"
    return App(kind, NAME, NAMESPACE, sync, message, revision)


def _app(found: Mapping[str, Any], artifact: str | None) -> App:
    spec, status = found["spec"], found.get("status", {})
    sync, message = _ready(found)
    applied = status.get("lastAppliedRevision", "")
    # Of a failure it is not always known which artifact it is of: it counts if it lasts.
    behind = artifact is None or (sync is Sync.READY and applied != artifact)
    if sync in (Sync.READY, Sync.FAILED) and behind:
        sync = Sync.PROGRESSING
    return App(
        "Kustomization",
        found["metadata"]["name"],
        found["metadata"]["namespace"],
        sync,
        message,
        applied,
        tuple(one["name"] for one in spec.get("dependsOn", ())),
    )


def _ready(found: Mapping[str, Any]) -> tuple[Sync, str]:
    """What the Ready condition says, if it is of what the object says now."""
    if found["spec"].get("suspend"):
        return Sync.SUSPENDED, "suspended"
    status = found.get("status", {})
    asked = found["metadata"].get("annotations", {}).get(REQUESTED)
    if asked is not None and asked != status.get("lastHandledReconcileAt"):
        return Sync.PROGRESSING, "looks again"
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    ready = conditions.get("Ready")
    # The status' own number is that of the last success, the condition's of the last attempt.
    if ready is None or ready.get("observedGeneration") != found["metadata"]["generation"]:
        return Sync.PROGRESSING, ready["message"] if ready else "not looked at yet"
    message = " ".join(ready.get("message", "").split())
    if ready["status"] == "True":
        return Sync.READY, message
    if ready["reason"] == "DependencyNotReady":
        return Sync.WAITING, message
    waits = ready["status"] == "Unknown" or ready["reason"] in WAITS or RETRIED in message
    return (Sync.PROGRESSING if waits else Sync.FAILED), message


def _inventory(kustomizations: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of all that was applied."""
    entries = (
        entry["id"].split("_")
        for one in kustomizations
        for entry in one.get("status", {}).get("inventory", {}).get("entries", ())
    )
    return {(entry[-1], entry[0], entry[1]) for entry in entries}


def applied(kube: Kube, kind: str) -> tuple[tuple[str, str, str, str], ...]:
    """All that Flux has applied: (Kustomization, kind, namespace, name)."""
    listed = kube.read(f"{KUSTOMIZATIONS}/kustomizations") or {"items": []}
    return tuple(
        (one["metadata"]["name"], *entry)
        for one in listed["items"]
        if _ours(one, kind)
        for entry in sorted(_inventory([one]))
    )


def _order(app: App) -> tuple[bool, str]:
    return app.name != NAME, app.name
