"""Argo CD in a running plex: the state of its apps, and requests to refresh them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plexctl.bootstrap import gitops
from plexctl.bootstrap.gitops import AppsWait
from plexctl.bootstrap.workloads import workloads
from plexctl.clients.kube.client import Kube
from plexctl.model.apps import App, Apps, Sync
from plexctl.model.events import Reporter
from plexctl.plan.gitops.argocd_install import NAMESPACE
from plexctl.plan.gitops.argocd_sync import APPS, CONFIGS, VERSION

HERE = f"/apis/{VERSION}/namespaces/{NAMESPACE}"
REFRESH = "argocd.argoproj.io/refresh"
REFRESH_SET = "argocd.argoproj.io/application-set-refresh"
PATIENCE, REFRESH_INTERVAL = 60.0, 3.0
"""Seconds that a failure must last, since the programs of Argo CD start one by one and depend on
each other; and seconds between two refreshes of failed apps: Argo CD retries after minutes."""

PHASES = {"Error": Sync.FAILED, "Failed": Sync.FAILED, "Running": Sync.PROGRESSING}
HEALTH = {
    "Degraded": Sync.FAILED,
    "Healthy": Sync.READY,
    "Missing": Sync.PROGRESSING,
    "Progressing": Sync.PROGRESSING,
    "Suspended": Sync.SUSPENDED,
}


def apps(kube: Kube) -> Apps:
    """The state of the apps of Argo CD. UnreachableError while the API does not answer."""
    found = kube.read(f"{HERE}/applicationsets/{APPS}")
    listed = (kube.read(f"{HERE}/applications") or {}).get("items", ())
    ours = sorted(filter(_ours, listed), key=lambda one: str(one["metadata"]["name"]))
    states = tuple(map(_app, ours))
    done = all(app.sync in (Sync.READY, Sync.SUSPENDED, Sync.FAILED) for app in states)
    running = workloads(kube, _inventory(ours)) if states and done else ()
    return Apps(_source(found, len(states)) if found else None, states, running)


def is_born(kube: Kube) -> bool:
    """Whether a new cluster has started with Argo CD; waits until the API serves its apps."""
    path = f"{HERE}/applicationsets/{APPS}"
    return gitops.is_born(kube, NAMESPACE, f"ApplicationSet {APPS}", path)


def wait_for_apps(kube: Kube, plex: str, reporter: Reporter) -> Apps:
    """Wait until Argo CD has applied the state of git, and all workloads run."""
    refreshed = time.monotonic()

    def read() -> Apps:
        nonlocal refreshed
        found = apps(kube)
        if found.failures and time.monotonic() - refreshed > REFRESH_INTERVAL:
            refresh(kube, [app.name for app in found.apps if app.sync is Sync.FAILED])
            refreshed = time.monotonic()
        return found

    hint = f"kubectl -n {NAMESPACE} get applications; kubectl -n {NAMESPACE} get pods"
    return AppsWait(plex, read, reporter, hint, PATIENCE).run()


def refresh(kube: Kube, names: Iterable[str] = ()) -> None:
    """Request that Argo CD reads git now, and compares the named Applications with it."""
    kube.annotate(f"{HERE}/applicationsets/{APPS}", {REFRESH_SET: "true"})
    for name in names:
        kube.annotate(f"{HERE}/applications/{name}", {REFRESH: "normal"})


def _ours(application: Mapping[str, Any]) -> bool:
    owners = application["metadata"].get("ownerReferences", ())
    return any((one["kind"], one["name"]) == ("ApplicationSet", APPS) for one in owners)


def _source(found: Mapping[str, Any], applications: int) -> App:
    """The state of git, by the conditions of the ApplicationSet."""
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", ())}
    error = conditions.get("ErrorOccurred", {})
    up_to_date = conditions.get("ResourcesUpToDate", {})
    revision = found["spec"]["generators"][0]["git"]["revision"]
    if error.get("status") == "True":
        sync, message = Sync.FAILED, error.get("message", "")
    elif up_to_date.get("status") == "True" and not applications:
        sync, message = Sync.FAILED, f"no {CONFIGS} in git names this plex, or all plexes"
    elif up_to_date.get("status") == "True":
        sync, message = Sync.READY, up_to_date.get("message", "")
    else:
        sync, message = Sync.PROGRESSING, "not reconciled yet"
    return App("ApplicationSet", APPS, NAMESPACE, sync, _line(message), revision)


def _app(found: Mapping[str, Any]) -> App:
    status = found.get("status", {})
    sync, message = _state(status)
    return App(
        "Application",
        found["metadata"]["name"],
        found["metadata"]["namespace"],
        sync,
        _line(message),
        status.get("sync", {}).get("revision", ""),
    )


def _state(status: Mapping[str, Any]) -> tuple[Sync, str]:
    """Errors come first, then a running operation, then whether it is synced and healthy."""
    errors = [one for one in status.get("conditions", ()) if one["type"].endswith("Error")]
    if errors:
        return Sync.FAILED, "; ".join(one["message"] for one in errors)
    synced, health = status.get("sync", {}).get("status"), status.get("health", {})
    operation = status.get("operationState", {})
    if synced != "Synced":
        state = PHASES.get(operation.get("phase", ""), Sync.PROGRESSING)
        return state, operation.get("message") or (synced or "not compared yet")
    if operation.get("phase") == "Running":
        return Sync.PROGRESSING, operation.get("message", "")
    state = HEALTH.get(health.get("status", ""), Sync.PROGRESSING)
    degraded = "; ".join(_degraded(status)) if state is Sync.FAILED else ""
    return state, degraded or health.get(
        "message"
    ) or f"{synced}, {health.get('status', 'unknown')}"


def _degraded(status: Mapping[str, Any]) -> Iterator[str]:
    """The resources of an Application that are degraded, a text each."""
    for one in status.get("resources", ()):
        health = one.get("health", {})
        if health.get("status") == "Degraded":
            yield f"{one['kind']} {one['name']}: {health.get('message', 'degraded')}"


def _inventory(applications: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of each object that was applied."""
    return {
        (one["kind"], one.get("namespace", ""), one["name"])
        for application in applications
        for one in application.get("status", {}).get("resources", ())
    }


def _line(message: str) -> str:
    """A message on one line."""
    return " ".join(message.split())
