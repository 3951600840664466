"""Argo CD in a running plex: told to look again, and asked what it has done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plexctl.bootstrap.gitops import SyncWatch
from plexctl.bootstrap.workloads import workloads
from plexctl.clients.kube.client import Kube
from plexctl.model.apps import App, Apps, Sync
from plexctl.model.events import Reporter
from plexctl.plan.gitops.argocd_install import NAMESPACE
from plexctl.plan.gitops.argocd_sync import APPS, CONFIGS, VERSION

HERE = f"/apis/{VERSION}/namespaces/{NAMESPACE}"
REFRESH = "argocd.argoproj.io/refresh"
REFRESH_SET = "argocd.argoproj.io/application-set-refresh"
PATIENCE, AGAIN = 60.0, 3.0
"""Seconds that a failure must last, as the programs come up one by one and look for each other;
and after which Argo CD is told to look again: by itself it does so after minutes."""

PHASES = {"Error": Sync.FAILED, "Failed": Sync.FAILED, "Running": Sync.PROGRESSING}
HEALTH = {
    "Degraded": Sync.FAILED,
    "Healthy": Sync.READY,
    "Missing": Sync.PROGRESSING,
    "Progressing": Sync.PROGRESSING,
    "Suspended": Sync.SUSPENDED,
}


def apps(kube: Kube) -> Apps:
    """What Argo CD has done. UnreachableError while the API does not answer."""
    found = kube.read(f"{HERE}/applicationsets/{APPS}")
    listed = (kube.read(f"{HERE}/applications") or {}).get("items", ())
    ours = sorted(filter(_ours, listed), key=lambda one: str(one["metadata"]["name"]))
    states = tuple(map(_app, ours))
    done = all(app.sync in (Sync.READY, Sync.SUSPENDED, Sync.FAILED) for app in states)
    running = workloads(kube, _inventory(ours)) if states and done else ()
    return Apps(_source(found, len(states)) if found else None, states, running)


def watch(kube: Kube, plex: str, reporter: Reporter) -> SyncWatch:
    """Waits until Argo CD has applied what git has, and all of that runs."""
    asked = time.monotonic()

    def look() -> Apps:
        nonlocal asked
        found = apps(kube)
        if found.failures and time.monotonic() - asked > AGAIN:
            request(kube, [app.name for app in found.apps if app.sync is Sync.FAILED])
            asked = time.monotonic()
        return found

    hint = f"kubectl -n {NAMESPACE} get applications; kubectl -n {NAMESPACE} get pods"
    return SyncWatch(plex, look, reporter, hint, PATIENCE)


def request(kube: Kube, names: Iterable[str] = ()) -> None:
    """Have Argo CD look into git now, and compare the named Applications with it."""
    kube.annotate(f"{HERE}/applicationsets/{APPS}", {REFRESH_SET: "true"})
    for name in names:
        kube.annotate(f"{HERE}/applications/{name}", {REFRESH: "normal"})


def _ours(application: Mapping[str, Any]) -> bool:
    owners = application["metadata"].get("ownerReferences", ())
    return any((one["kind"], one["name"]) == ("ApplicationSet", APPS) for one in owners)


def _source(found: Mapping[str, Any], made_apps: int) -> App:
    """Git, as the ApplicationSet sees it."""
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", ())}
    error, made = conditions.get("ErrorOccurred", {}), conditions.get("ResourcesUpToDate", {})
    revision = found["spec"]["generators"][0]["git"]["revision"]
    if error.get("status") == "True":
        sync, message = Sync.FAILED, error.get("message", "")
    elif made.get("status") == "True" and not made_apps:
        sync, message = Sync.FAILED, f"no {CONFIGS} in git names this plex, or all"
    elif made.get("status") == "True":
        sync, message = Sync.READY, made.get("message", "")
    else:
        sync, message = Sync.PROGRESSING, "not looked at yet"
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
    """Errors first, then what is under way, then whether it is in git's state and well."""
    errors = [one for one in status.get("conditions", ()) if one["type"].endswith("Error")]
    if errors:
        return Sync.FAILED, "; ".join(one["message"] for one in errors)
    synced, health = status.get("sync", {}).get("status"), status.get("health", {})
    operation = status.get("operationState", {})
    if synced != "Synced":
        state = PHASES.get(operation.get("phase", ""), Sync.PROGRESSING)
        return state, operation.get("message") or (synced or "not looked at yet")
    if operation.get("phase") == "Running":
        return Sync.PROGRESSING, operation.get("message", "")
    state = HEALTH.get(health.get("status", ""), Sync.PROGRESSING)
    unwell = "; ".join(_unhealthy(status)) if state is Sync.FAILED else ""
    return state, unwell or health.get("message") or f"{synced}, {health.get('status', 'unknown')}"


def _unhealthy(status: Mapping[str, Any]) -> Iterator[str]:
    for one in status.get("resources", ()):
        health = one.get("health", {})
        if health.get("status") == "Degraded":
            yield f"{one['kind']} {one['name']}: {health.get('message', 'degraded')}"


def _inventory(applications: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of all that was applied."""
    return {
        (one["kind"], one.get("namespace", ""), one["name"])
        for application in applications
        for one in application.get("status", {}).get("resources", ())
    }


def _line(message: str) -> str:
    return " ".join(message.split())
