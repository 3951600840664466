"""Flux in a running plex: put there, told to look again, and asked what it has done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plexctl.bootstrap.workloads import workloads
from plexctl.clients.kube import Kube, UnreachableError
from plexctl.errors import PlexError
from plexctl.model.apps import WAITS, App, Apps, Sync, find_cycle
from plexctl.model.condition import Condition, Seen, wait
from plexctl.model.events import Outcome, Reporter
from plexctl.plan.documents import Document
from plexctl.plan.flux_install import NAMESPACE
from plexctl.plan.flux_sync import NAME

KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1"
SOURCES = "/apis/source.toolkit.fluxcd.io/v1"
PLURALS = {"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories"}
INSTALLED = 60.0
SYNCED = 300.0
PATIENCE = 12.0
"""Seconds that a failure must last: Flux tries again after 5, and a network comes up late."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"


def install(
    kube: Kube, documents: Sequence[Document], crds: Sequence[Document], sync: Sequence[Document]
) -> bool:
    """Apply the controllers, their CRDs, and what they are to apply. Whether anything changed."""
    namespace, *others = documents
    with ThreadPoolExecutor(8) as pool:
        changed = [_applied(kube, namespace)]
        changed += pool.map(lambda document: _applied(kube, document), (*crds, *others))
        changed += pool.map(lambda document: _applied(kube, document), sync)
    return any(changed)


def _applied(kube: Kube, document: Document) -> bool:
    """Apply, again while the API is not that far: kinds and namespaces come up one by one."""
    result: list[bool] = []
    metadata = document["metadata"]
    what = f"{document['kind']} {metadata['name']} is applied"

    def probe() -> Seen:
        try:
            path = kube.path(document)
            before = kube.read(path)
            after = kube.apply(document)
        except UnreachableError as error:
            return Seen(False, error.summary)
        versions = [one["metadata"]["resourceVersion"] if one else "" for one in (before, after)]
        result.append(versions[0] != versions[1])
        return Seen(True)

    wait(Condition(what, probe, INSTALLED))
    return result[-1]


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


@dataclass(slots=True)
class SyncWatch:
    """Waits until the apps of a plex are there, or will not be."""

    kube: Kube
    plex: str
    kind: str
    reporter: Reporter
    revision: str | None = None
    last: Apps = field(default_factory=lambda: Apps(None, ()))
    _failing: tuple[tuple[str, ...], float] = ((), 0.0)

    def wait(self) -> Apps:
        """What there is in the end: `synced`, or with `failures`.

        PlexError if neither is so within the time that apps are given.
        """
        with self.reporter.step(f"the apps of {self.plex} are there") as step:

            def probe() -> Seen:
                try:
                    self.last = apps(self.kube, self.kind, revision=self.revision)
                except UnreachableError as error:
                    return Seen(False, error.summary)
                step.progress(self.last.summary)
                _no_cycle(self.last)
                return Seen(self.last.synced or self._lost(), self.last.summary)

            hint = f"plexctl flux status {self.plex}"
            wait(Condition(f"the apps of {self.plex} are there", probe, SYNCED, hint=hint))
            failed = Outcome.FAILED if self.last.failures else Outcome.UNCHANGED
            step.end(failed, self.last.summary)
        return self.last

    def _lost(self) -> bool:
        """Whether the same has failed for a while, and nothing else goes on."""
        failures = tuple(line.partition(":")[0] for line in self.last.failures)
        if not self.last.stuck or failures != self._failing[0]:
            self._failing = (failures if self.last.stuck else (), time.monotonic())
            return False
        return time.monotonic() - self._failing[1] > PATIENCE


def request(kube: Kube, kind: str, names: Iterable[str] = ()) -> None:
    """Have Flux fetch the source now, and apply the named Kustomizations."""
    now = {REQUESTED: datetime.now(UTC).isoformat()}
    source = f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}"
    if not kube.annotate(source, now):
        raise PlexError("Flux has no source in this plex", hint="`plexctl up` puts it there")
    for name in names:
        kube.annotate(f"{KUSTOMIZATIONS}/namespaces/{NAMESPACE}/kustomizations/{name}", now)


def suspend(kube: Kube, kind: str, name: str, *, suspended: bool) -> bool:
    """Have Flux leave an app as it is, or go on; without a name the source. False: no such app."""
    path = (
        f"{KUSTOMIZATIONS}/namespaces/{NAMESPACE}/kustomizations/{name}"
        if name
        else f"{SOURCES}/namespaces/{NAMESPACE}/{PLURALS[kind]}/{NAME}"
    )
    return kube.patch(path, {"spec": {"suspend": suspended}})


def _no_cycle(seen: Apps) -> None:
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
    applied, tried = (status.get(f"last{x}Revision", "") for x in ("Applied", "Attempted"))
    behind = artifact is None or (tried if sync is Sync.FAILED else applied) != artifact
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
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    ready = conditions.get("Ready")
    if ready is None or status.get("observedGeneration", -1) != found["metadata"]["generation"]:
        return Sync.PROGRESSING, ready["message"] if ready else "not looked at yet"
    message = " ".join(ready.get("message", "").split())
    if ready["status"] == "True":
        return Sync.READY, message
    if ready["reason"] == "DependencyNotReady":
        return Sync.WAITING, message
    waits = ready["status"] == "Unknown" or ready["reason"] in WAITS
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


def short(revision: str) -> str:
    """A revision as people say it: "main@sha1:0123456"."""
    head, mark, digest = revision.rpartition(":")
    return f"{head}{mark}{digest[:8]}" if mark else revision[:16]
