"""Check that the workloads of apps run: GitOps engines only report that they are applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from plexctl.clients.kube.client import Kube
from plexctl.model.apps import Workload

APPS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
HELM = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
FATAL = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
)
"""Reasons why a container waits that do not go away within seconds."""


def workloads(kube: Kube, inventory: Collection[tuple[str, str, str]]) -> tuple[Workload, ...]:
    """The state of the workloads in `inventory`, which has (kind, namespace, name) of objects."""
    kinds = {kind for kind, _, _ in inventory}
    found = []
    for kind, plural in APPS.items():
        if kind in kinds:
            for one in (kube.read(f"/apis/apps/v1/{plural}") or {}).get("items", ()):
                key = (kind, one["metadata"]["namespace"], one["metadata"]["name"])
                if key in inventory:
                    found.append(_workload(kube, key, one))
    if "HelmRelease" in kinds:
        for one in (kube.read(HELM) or {}).get("items", ()):
            key = ("HelmRelease", one["metadata"]["namespace"], one["metadata"]["name"])
            if key in inventory:
                found.append(_release(key, one))
    return tuple(sorted(found, key=str))


def _workload(kube: Kube, key: tuple[str, str, str], found: Mapping[str, Any]) -> Workload:
    spec, status = found["spec"], found.get("status", {})
    observed = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    if key[0] == "DaemonSet":
        desired = status.get("desiredNumberScheduled", 0)
        updated = status.get("updatedNumberScheduled", 0)
        available = status.get("numberAvailable", 0)
    else:
        desired = spec.get("replicas", 1)
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if observed and available >= desired and updated >= desired:
        return Workload(*key, True, f"{available} of {desired} available")
    labels = spec["selector"].get("matchLabels", {})
    reason = next(_reasons(kube, key[1], labels), "")
    message = reason or f"{available} of {desired} available"
    return Workload(*key, False, message, bool(reason))


def _reasons(kube: Kube, namespace: str, labels: Mapping[str, str]) -> Iterator[str]:
    """Reasons why containers of the pods with these labels do not start."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    path = f"/api/v1/namespaces/{namespace}/pods"
    for pod in (kube.read(path, params={"labelSelector": selector}) or {}).get("items", ()):
        status = pod.get("status", {})
        for container in (
            *status.get("initContainerStatuses", ()),
            *status.get("containerStatuses", ()),
        ):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in FATAL:
                text = " ".join(waiting.get("message", "").split())
                name = pod["metadata"]["name"]
                yield f"{waiting['reason']} of {container['name']} in pod {name}: {text}"


def _release(key: tuple[str, str, str], found: Mapping[str, Any]) -> Workload:
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready", {})
    stalled = conditions.get("Stalled", {}).get("status") == "True"
    message = " ".join(ready.get("message", "not reconciled yet").split())
    return Workload(*key, ready.get("status") == "True", message, stalled)
