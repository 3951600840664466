"""Flux in a running plex: the state of its apps, and requests to reconcile and to suspend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plexctl.bootstrap import gitops
from plexctl.bootstrap.gitops import AppsWait
from plexctl.bootstrap.workloads import workloads
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.apps import WAITS, App, Apps, Sync, find_cycle, short
from plexctl.model.condition import Clock
from plexctl.model.events import Reporter
from plexctl.plan.gitops.flux_install import NAMESPACE
from plexctl.plan.gitops.flux_sync import NAME

RETRIED = "artifact not found, retrying"
"""Flux' message while it fetches a source once more; the reason is that of a failure then."""

KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1"
SOURCES = "/apis/source.toolkit.fluxcd.io/v1"
PLURALS = {"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories"}
UNNOTICED = 3.0
"""Seconds without a reaction of an app to a new artifact; it usually takes a tenth of a second."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"


def apps(kube: Kube, kind: str, *, revision: str | None = None) -> Apps:
    """The state of the apps. `kind` is that of the source; it must have fetched `revision`.

    UnreachableError while the API does not serve Flux' kinds.
    """
    found = kube.read(_source_path(kind))
    listed = kube.read(f"{KUSTOMIZATIONS}/kustomizations") or {"items": []}
    source = _source(found, kind, revision) if found else None
    artifact = source.revision if source and source.sync is Sync.READY else None
    kustomizations = [one for one in listed["items"] if _ours(one, kind)]
    states = tuple(sorted((_app(one, artifact) for one in kustomizations), key=_order))
    done = all(app.sync in (Sync.READY, Sync.SUSPENDED, Sync.FAILED) for app in states)
    running = workloads(kube, _inventory(kustomizations)) if states and done else ()
    return Apps(source, states, running)


def wait_for_apps(
    kube: Kube, plex: str, kind: str, reporter: Reporter, revision: str | None = None
) -> Apps:
    """Wait until Flux has applied `revision`, or the newest one, and all workloads run.

    PlexError for a circle of dependencies.
    """
    notifier = ArtifactNotifier(kube)

    def read() -> Apps:
        found = apps(kube, kind, revision=revision)
        notifier.update(found)
        raise_if_cycle(found)
        return found

    return AppsWait(plex, read, reporter, f"plexctl flux status {plex}").run()


@dataclass(slots=True)
class ArtifactNotifier:
    """Requests reconciliation of Kustomizations that do not react to an artifact, once for each.

    Flux notifies no Kustomization of a circle of dependencies about the next artifact, which may
    be the one without the circle. They would notice it only at their next interval.
    """

    kube: Kube
    clock: Clock = field(default_factory=Clock)
    _artifact: tuple[str, float] = ("", 0.0)  # its revision, and the time of its first observation
    _notified: bool = False

    def update(self, observed: Apps) -> None:
        source = observed.source
        revision = source.revision if source and source.sync is Sync.READY else ""
        if revision != self._artifact[0]:
            self._artifact, self._notified = (revision, self.clock.now()), False
        if not revision or self._notified or self.clock.now() - self._artifact[1] < UNNOTICED:
            return
        self._notified = True
        now = _request_now()
        for app in observed.apps:
            if app.sync is Sync.PROGRESSING:
                self.kube.annotate(_kustomization(app.name), now)


def is_born(kube: Kube, kind: str) -> bool:
    """Whether a new cluster has started with Flux; waits until the API serves the source."""
    return gitops.is_born(kube, NAMESPACE, f"{kind} {NAME}", _source_path(kind))


def _kustomization(name: str) -> str:
    """The path of a Kustomization in the API."""
    return f"{KUSTOMIZATIONS}/namespaces/{NAMESPACE}/kustomizations/{name}"


def _source_path(kind: str) -> str:
    return f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}"


def _request_now() -> dict[str, str]:
    """The annotation that requests reconciliation.

    https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile
    """
    return {REQUESTED: datetime.now(UTC).isoformat()}


def request_reconciliation(kube: Kube, kind: str, names: Iterable[str] = ()) -> None:
    """Request that Flux fetches the source now, and applies the named Kustomizations."""
    now = _request_now()
    if not kube.annotate(_source_path(kind), now):
        raise PlexError("this plex has no source for Flux", hint="`plexctl up` creates it")
    for name in names:
        kube.annotate(_kustomization(name), now)


def suspend(kube: Kube, kind: str, name: str, *, suspended: bool) -> bool:
    """Suspend or resume an app, or without a name the source. False if there is no such app."""
    path = _kustomization(name) if name else _source_path(kind)
    return kube.patch(path, {"spec": {"suspend": suspended}})


def raise_if_cycle(observed: Apps) -> None:
    """PlexError if Kustomizations of the tree that was applied last depend on each other."""
    first = next((app for app in observed.apps if app.name == NAME), None)
    if first is None or first.sync is not Sync.READY:
        return
    circle = find_cycle({app.name: app.depends_on for app in observed.apps})
    if circle:
        raise PlexError(
            f"Kustomizations depend on each other: {' -> '.join(circle)}",
            hint="remove one `dependsOn`, and push again",
        )


def _ours(kustomization: Mapping[str, Any], kind: str) -> bool:
    reference = kustomization["spec"]["sourceRef"]
    namespace = reference.get("namespace", kustomization["metadata"]["namespace"])
    return (reference["kind"], reference["name"], namespace) == (kind, NAME, NAMESPACE)


def _source(found: Mapping[str, Any], kind: str, wanted: str | None) -> App:
    revision = found.get("status", {}).get("artifact", {}).get("revision", "")
    sync, message = _ready(found)
    if sync is Sync.READY and wanted is not None and not revision.endswith(wanted):
        sync, message = Sync.PROGRESSING, f"is at {short(revision)}, not yet at {short(wanted)}"
    return App(kind, NAME, NAMESPACE, sync, message, revision)


def _app(found: Mapping[str, Any], artifact: str | None) -> App:
    spec, status = found["spec"], found.get("status", {})
    sync, message = _ready(found)
    applied = status.get("lastAppliedRevision", "")
    # Flux does not always report to which artifact a failure belongs: it counts if it lasts.
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
    """The state by the Ready condition, if that is about the current generation."""
    if found["spec"].get("suspend"):
        return Sync.SUSPENDED, "suspended"
    status = found.get("status", {})
    requested = found["metadata"].get("annotations", {}).get(REQUESTED)
    if requested is not None and requested != status.get("lastHandledReconcileAt"):
        return Sync.PROGRESSING, "reconciliation requested"
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    ready = conditions.get("Ready")
    # status.observedGeneration is that of the last success; the condition's of the last attempt.
    if ready is None or ready.get("observedGeneration") != found["metadata"]["generation"]:
        return Sync.PROGRESSING, ready["message"] if ready else "not reconciled yet"
    message = " ".join(ready.get("message", "").split())
    if ready["status"] == "True":
        return Sync.READY, message
    if ready["reason"] == "DependencyNotReady":
        return Sync.WAITING, message
    waits = ready["status"] == "Unknown" or ready["reason"] in WAITS or RETRIED in message
    return (Sync.PROGRESSING if waits else Sync.FAILED), message


def _inventory(kustomizations: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of each object that was applied."""
    return {
        (entry.kind, entry.namespace, entry.name)
        for one in kustomizations
        for entry in inventory(one)
    }


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """An object that a Kustomization has applied. `id` is unique in a cluster.

    https://github.com/fluxcd/cli-utils, pkg/object/objmetadata.go: ParseObjMetadata
    """

    id: str  # "shop_web_apps_Deployment"
    version: str  # of its API: "v1"

    @property
    def namespace(self) -> str:
        return self.id.partition("_")[0]

    @property
    def name(self) -> str:
        """The name; a colon, which RBAC allows, is a double underscore in `id`."""
        return self.id.partition("_")[2].rsplit("_", 2)[0].replace("__", ":")

    @property
    def group(self) -> str:
        return self.id.rsplit("_", 2)[1]

    @property
    def kind(self) -> str:
        return self.id.rpartition("_")[2]

    @property
    def document(self) -> dict[str, Any]:
        """What identifies the object: apiVersion, kind and metadata."""
        metadata = {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})
        version = f"{self.group}/{self.version}" if self.group else self.version
        return {"apiVersion": version, "kind": self.kind, "metadata": metadata}


def inventory(kustomization: Mapping[str, Any]) -> tuple[InventoryEntry, ...]:
    """The objects that a Kustomization has applied."""
    entries = kustomization.get("status", {}).get("inventory", {}).get("entries", ())
    return tuple(InventoryEntry(entry["id"], entry["v"]) for entry in entries)


def kustomizations(kube: Kube, kind: str) -> tuple[dict[str, Any], ...]:
    """The Kustomizations whose source is that of the plex, which is of `kind`."""
    listed = kube.read(f"{KUSTOMIZATIONS}/kustomizations") or {"items": []}
    return tuple(one for one in listed["items"] if _ours(one, kind))


def _order(app: App) -> tuple[bool, str]:
    """The first Kustomization comes first, then the others by name."""
    return app.name != NAME, app.name
