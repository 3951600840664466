"""Pods as the API server stores them: with default values, and what admission adds.

Source: pkg/apis/core/v1/defaults.go and plugin/pkg/admission of Kubernetes, for the fields that
add-ons of plexctl have. The API server applies defaults to what it reads, too. But managedFields of
an object that a controller has created name the defaults, so they are applied here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plexctl.plan.documents import Document

PRIORITIES = {"": 0, "system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
"""The value of each PriorityClass that a new cluster has."""

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PATIENCE = 300
"""Seconds that a pod stays on a node that does not answer, as admission sets them."""

TOKEN = "kube-api-access-${suffix}"  # noqa: S105 - the name of a volume
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
TOKEN_SECONDS = 3607
READABLE = 0o644
MODES = ("configMap", "projected", "secret")
"""Volumes whose files have a mode."""

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
COUNTED = ("cpu", "memory")

BOUND = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": "${now}",
        }
    ],
}
"""The status of a pod that has been bound to a node, and that no kubelet has seen."""


def defaulted(spec: Document) -> Document:
    """The spec of a template with default values."""
    whole = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        **spec,
        "containers": [_container(one) for one in spec["containers"]],
    }
    if "serviceAccountName" in spec:
        whole["serviceAccount"] = spec["serviceAccountName"]
    for kind in ("initContainers", "volumes"):
        if kind in spec:
            default = _volume if kind == "volumes" else _container
            whole[kind] = [default(one) for one in spec[kind]]
    return whole


def _container(container: Document) -> Document:
    tag = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[2]
    newest = tag in ("", "latest") and "@" not in container["image"]
    whole = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if newest else "IfNotPresent",
        **container,
    }
    if "ports" in container:
        whole["ports"] = [{"protocol": "TCP", **one} for one in container["ports"]]
    if "env" in container:
        whole["env"] = [_variable(one) for one in container["env"]]
    for name in PROBES:
        if name in container:
            whole[name] = _probe(container[name])
    return whole


def _variable(variable: Document) -> Document:
    match variable:
        case {"valueFrom": {"fieldRef": dict() as field}}:
            return {**variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", **field}}}
    return variable


def _probe(probe: Document) -> Document:
    whole = {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
        **probe,
    }
    if "httpGet" in probe:
        whole["httpGet"] = {"path": "/", "scheme": "HTTP", **probe["httpGet"]}
    return whole


def _volume(volume: Document) -> Document:
    return {
        name: {"defaultMode": READABLE, **one} if name in MODES else one
        for name, one in volume.items()
    }


def admitted(spec: Document, *, token: bool = True) -> Document:
    """The spec of a pod, made of that of its template, as admission leaves it.

    `token`: whether its service account gives pods a token that do not say whether they need one.
    """
    account = spec.get("serviceAccountName", "default")
    return {
        **spec,
        "enableServiceLinks": spec.get("enableServiceLinks", True),
        "serviceAccountName": account,
        "serviceAccount": account,
        "nodeName": "${node.name}",
        **(_with_token(spec) if spec.get("automountServiceAccountToken", token) else {}),
        "tolerations": [*spec.get("tolerations", ()), *_patience(spec.get("tolerations", ()))],
        "priority": PRIORITIES[spec.get("priorityClassName", "")],
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _with_token(spec: Document) -> Document:
    """The containers and volumes of a pod that gets a token of its service account."""
    mount = {"name": TOKEN, "readOnly": True, "mountPath": TOKEN_FOLDER}
    kinds = ("initContainers", "containers")
    return {
        **{
            kind: [{**one, "volumeMounts": [*one.get("volumeMounts", ()), mount]} for one in found]
            for kind in kinds
            if (found := spec.get(kind))
        },
        "volumes": [*spec.get("volumes", ()), _token_volume()],
    }


def _token_volume() -> Document:
    certificate = {"key": "ca.crt", "path": "ca.crt"}
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [certificate]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
    ]
    return {"name": TOKEN, "projected": {"sources": sources, "defaultMode": READABLE}}


def _patience(tolerations: Iterable[Document]) -> list[Document]:
    """What admission adds, unless a toleration for the same says something else."""
    own = [one for one in tolerations if one.get("effect", "NoExecute") == "NoExecute"]
    return [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": PATIENCE,
        }
        for key in TAINTS
        if not any(one.get("key", key) == key for one in own)
    ]


def status(spec: Document) -> Document:
    """The status of a pod that is bound to a node, before its kubelet has seen it."""
    return {**BOUND, "qosClass": _quality(spec)}


def _quality(spec: Document) -> str:
    """The class by which a kubelet evicts pods. Source: ComputePodQOS in pkg/apis/core/helper."""
    found: list[Any] = [one["resources"] for one in spec["containers"]]
    if not any(one.get(kind) for one in found for kind in ("limits", "requests")):
        return "BestEffort"
    limits = [one.get("limits", {}) for one in found]
    complete = all(name in limit for limit in limits for name in COUNTED)
    alike = all(one.get("requests", one.get("limits")) == one.get("limits") for one in found)
    return "Guaranteed" if alike and complete else "Burstable"
