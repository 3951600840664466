"""Flux on a plex: its namespace, its rights and its controllers.

As upstream installs it, but for what costs seconds in a cluster that has just come up: the
controllers ask the API at its own address (no wait for kube-proxy), hand artifacts out at the
address of their pod (no wait for DNS), look at dependencies often, and may run on the master, which
is there first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from plexctl.model.nodes import MASTER_TAINT
from plexctl.model.plex import Plex
from plexctl.plan.documents import Document
from plexctl.plan.kubernetes.kubeadm import API_PORT, master

NAMESPACE = "flux-system"
LABELS = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/managed-by": "plexctl"}
TOOLKIT = ("source", "kustomize", "helm", "notification", "image")


@dataclass(frozen=True, slots=True)
class Controller:
    """What is different between the controllers."""

    name: str
    arguments: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: tuple[str, str] = ("healthz", "/readyz")  # port and path
    data: bool = False  # whether it keeps files in /data
    services: Mapping[str, str] = field(default_factory=dict)  # Service -> port of the container
    admin: bool = False  # whether it applies anything at all
    grace: int = 10  # seconds to end


FAST = ("--requeue-dependency=200ms", "--min-retry-delay=250ms")

CONTROLLERS = (
    Controller(
        "source-controller",
        # Without a name there is no wait for the Service and for DNS, nor for their retries.
        ("--min-retry-delay=250ms", "--storage-path=/data", "--storage-adv-addr=$(POD_IP):9090"),
        ports={"http": 9090},
        readiness=("http", "/"),
        data=True,
        services={"source-controller": "http"},
    ),
    Controller(
        "kustomize-controller",
        # An artifact's address goes with its pod: asked again, the source tells the new one.
        (*FAST, "--http-retry=0"),
        admin=True,
        grace=60,
    ),
    Controller("helm-controller", FAST, admin=True, grace=60),
    Controller(
        "notification-controller",
        ports={"http": 9090, "http-webhook": 9292},
        services={"notification-controller": "http", "webhook-receiver": "http-webhook"},
    ),
)


def install(plex: Plex, images: Mapping[str, str]) -> tuple[Document, ...]:
    """What is applied once the API answers, the namespace first. CRDs come with the images.

    `images` has the references of the controllers there are; those without one are left out.
    """
    there = [one for one in CONTROLLERS if one.name in images]
    documents: list[Document] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": LABELS}}
    ]
    documents += _rights([one.name for one in there], [one.name for one in there if one.admin])
    for controller in there:
        documents.append(_object("v1", "ServiceAccount", controller.name))
        documents += [_service(name, controller.name, p) for name, p in controller.services.items()]
        documents.append(_deployment(plex, controller, images[controller.name]))
    return tuple(documents)


def controllers(images: Collection[str]) -> tuple[str, ...]:
    """Names of the controllers whose images there are."""
    return tuple(one.name for one in CONTROLLERS if one.name in images)


def _rights(all_: list[str], admins: list[str]) -> list[Document]:
    everything = ["get", "list", "watch", "create", "update", "patch", "delete"]
    groups = [f"{name}.toolkit.fluxcd.io" for name in TOOLKIT]
    rules = [
        {"apiGroups": groups, "resources": ["*"], "verbs": everything},
        {
            "apiGroups": [""],
            "resources": ["namespaces", "secrets", "configmaps", "serviceaccounts"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": everything},
    ]
    role: Document = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "flux-controllers", "labels": LABELS},
        "rules": rules,
    }
    return [
        role,
        _binding("flux-controllers", "flux-controllers", all_),
        _binding("flux-appliers", "cluster-admin", admins),
    ]


def _binding(name: str, role: str, accounts: list[str]) -> Document:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": LABELS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [
            {"kind": "ServiceAccount", "name": one, "namespace": NAMESPACE} for one in accounts
        ],
    }


def _object(version: str, kind: str, name: str) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _service(name: str, app: str, port: str) -> Document:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": port}]
    return {**_object("v1", "Service", name), "spec": {"selector": {"app": app}, "ports": ports}}


def _deployment(plex: Plex, controller: Controller, image: str) -> Document:
    labels = {"app": controller.name}
    return {
        **_object("apps/v1", "Deployment", controller.name),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            # One at a time, as there is no election of a leader.
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels}, "spec": _pod(plex, controller, image)},
        },
    }


def _pod(plex: Plex, controller: Controller, image: str) -> Document:
    folders = ["tmp", "data"] if controller.data else ["tmp"]
    environment: list[dict[str, Any]] = [
        _from_field("RUNTIME_NAMESPACE", "metadata.namespace"),
        _from_field("POD_IP", "status.podIP"),
        {"name": "KUBERNETES_SERVICE_HOST", "value": str(master(plex).address.ip)},
        {"name": "KUBERNETES_SERVICE_PORT", "value": str(API_PORT)},
        {"name": "TUF_ROOT", "value": "/tmp/.sigstore"},  # noqa: S108 - in the pod
    ]
    ports = {**controller.ports, "http-prom": 8080, "healthz": 9440}
    port, path = controller.readiness
    return {
        "serviceAccountName": controller.name,
        "terminationGracePeriodSeconds": controller.grace,
        "securityContext": {"fsGroup": 1337},
        "tolerations": [
            {"key": key, "operator": "Exists", "effect": "NoSchedule"}
            for key in (MASTER_TAINT.key, "node.kubernetes.io/not-ready")
        ],
        "containers": [
            {
                "name": "manager",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": [
                    "--watch-all-namespaces",
                    "--log-level=info",
                    "--log-encoding=json",
                    "--enable-leader-election=false",
                    *controller.arguments,
                ],
                "env": environment,
                "ports": [
                    {"name": name, "containerPort": number, "protocol": "TCP"}
                    for name, number in ports.items()
                ],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "runAsUser": 65534,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "livenessProbe": {"httpGet": {"port": "healthz", "path": "/healthz"}},
                "readinessProbe": {"httpGet": {"port": port, "path": path}, "periodSeconds": 1},
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"memory": "1Gi"},
                },
                "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in folders],
            }
        ],
        "volumes": [{"name": name, "emptyDir": {}} for name in folders],
    }


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
