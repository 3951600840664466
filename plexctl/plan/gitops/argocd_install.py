"""Argo CD on a plex: its namespace, its rights, its settings and its programs.

As upstream's core install has it (its manifests/core-install.yaml): no web server, no single
sign-on, no notifications. What is asked of the API goes to its own address, and everything may run
on the master, as with Flux.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plexctl.model.gitops import Gitops
from plexctl.model.nodes import MASTER_TAINT
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.gitops.argocd_programs import (
    CERTIFICATES,
    CONFIG,
    KNOWN_HOSTS,
    PARAMETERS,
    PROGRAMS,
    REDIS,
    REDIS_FOLDER,
    Program,
)
from plexctl.plan.kubernetes.kubeadm import API_PORT, master

NAMESPACE = "argocd"
PART_OF = {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/managed-by": "plexctl"}
"""Argo CD finds its settings by the first."""

USER = 999
EXCLUSIONS = """\
- apiGroups: ["", discovery.k8s.io]
  kinds: [Endpoints, EndpointSlice]
- apiGroups: [coordination.k8s.io]
  kinds: [Lease]
"""
"""What changes all the time and is never in git: watching it would cost for nothing."""


@dataclass(frozen=True, slots=True)
class Servers:
    """By what Argo CD knows the servers of git."""

    known_hosts: str = ""  # lines as ssh-keyscan prints them
    authorities: Mapping[str, str] = field(default_factory=dict)  # host -> certificates in PEM


def install(
    plex: Plex, gitops: Gitops, images: Mapping[str, str], redis: Secret, servers: Servers
) -> tuple[Document, ...]:
    """What is applied once the API answers, the namespace first. They hold a key. No CRDs.

    `images` has the references of `argocd` and `redis`; `redis` is the password of that.
    """
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": PART_OF},
    }
    documents: list[Document] = [namespace, *_settings(gitops, redis, servers), *_rights()]
    for program in PROGRAMS:
        account: Document = _object("v1", "ServiceAccount", program.name)
        documents.append({**account, "automountServiceAccountToken": program.asks_api})
        if program.service:
            documents.append(_service(program))
        documents.append(_workload(plex, program, images[program.image]))
    return tuple(documents)


def _settings(gitops: Gitops, redis: Secret, servers: Servers) -> list[Document]:
    maps = {
        CONFIG: {
            "resource.exclusions": EXCLUSIONS,
            "timeout.reconciliation": f"{gitops.interval}s",
            "timeout.reconciliation.jitter": "0s",
        },
        PARAMETERS: {"redis.server": f"{REDIS}:6379", "repo.server": "argocd-repo-server:8081"},
        "argocd-rbac-cm": {},
        KNOWN_HOSTS: {"ssh_known_hosts": servers.known_hosts},
        CERTIFICATES: dict(servers.authorities),
    }
    password = redis.reveal()
    files = {
        "auth": password,
        "redis.conf": b'save ""\nappendonly no\ndir /tmp\nrequirepass ' + password + b"\n",
    }
    encoded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return [
        *({**_object("v1", "ConfigMap", name), "data": data} for name, data in maps.items()),
        {**_object("v1", "Secret", REDIS), "type": "Opaque", "data": encoded},
        # Argo CD wants it to be there, and keeps keys of its own in it.
        {**_object("v1", "Secret", "argocd-secret"), "type": "Opaque"},
    ]


def _rights() -> list[Document]:
    """The controller applies anything; the other one makes Applications of what git has."""
    applier, maker = "argocd-application-controller", "argocd-applicationset-controller"
    read = ["get", "list", "watch"]
    write = [*read, "create", "update", "patch", "delete"]
    rules = [
        {
            "apiGroups": ["argoproj.io"],
            "resources": ["applications", "applicationsets", "applicationsets/finalizers"],
            "verbs": write,
        },
        {
            "apiGroups": ["argoproj.io"],
            "resources": ["applicationsets/status"],
            "verbs": ["get", "patch", "update"],
        },
        {"apiGroups": ["argoproj.io"], "resources": ["appprojects"], "verbs": read},
        {"apiGroups": [""], "resources": ["events"], "verbs": [*read, "create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": read},
    ]
    rbac = "rbac.authorization.k8s.io"
    group = {"apiGroup": rbac}
    cluster = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "argocd-applier", "labels": PART_OF},
        "roleRef": {**group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [_account(applier)],
    }
    role: Document = {**_object(f"{rbac}/v1", "Role", maker), "rules": rules}
    binding: Document = {
        **_object(f"{rbac}/v1", "RoleBinding", maker),
        "roleRef": {**group, "kind": "Role", "name": maker},
        "subjects": [_account(maker)],
    }
    return [cluster, role, binding]


def _account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}


def _object(version: str, kind: str, name: str) -> Document:
    labels = {"app.kubernetes.io/name": name, **PART_OF}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _service(program: Program) -> Document:
    ports = [
        {"name": name, "port": port, "protocol": "TCP", "targetPort": name}
        for name, port in program.ports.items()
    ]
    spec = {"selector": {"app.kubernetes.io/name": program.name}, "ports": ports}
    return {**_object("v1", "Service", program.name), "spec": spec}


def _workload(plex: Plex, program: Program, image: str) -> Document:
    labels = {"app.kubernetes.io/name": program.name}
    metadata = {"labels": {**labels, **PART_OF}}
    spec: Document = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": metadata, "spec": _pod(plex, program, image)},
    }
    if program.kind == "StatefulSet":
        spec["serviceName"] = program.name
    else:
        spec["strategy"] = {"type": "Recreate"}
    return {**_object("apps/v1", program.kind, program.name), "spec": spec}


def _pod(plex: Plex, program: Program, image: str) -> Document:
    volumes, mounts = _volumes(program)
    container: Document = {
        "name": program.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(program.command),
        "env": _environment(plex, program),
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in program.ports.items()
        ],
        "readinessProbe": {**program.readiness, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    if program.image == "redis":
        # Its image begins with a script that the arguments would be handed to.
        container["command"] = container.pop("args")
    return {
        "serviceAccountName": program.name,
        # The variables that tell of services have names that are Argo CD's own settings.
        "enableServiceLinks": False,
        "securityContext": {
            "fsGroup": USER,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            {"key": key, "operator": "Exists", "effect": "NoSchedule"}
            for key in (MASTER_TAINT.key, "node.kubernetes.io/not-ready")
        ],
        "containers": [container],
        "volumes": volumes,
    }


def _environment(plex: Plex, program: Program) -> list[dict[str, Any]]:
    variables = {"GRPC_ENABLE_TXT_SERVICE_CONFIG": "false", **program.variables}
    if program.image == "redis":
        return []
    if program.asks_api:
        variables["KUBERNETES_SERVICE_HOST"] = str(master(plex).address.ip)
        variables["KUBERNETES_SERVICE_PORT"] = str(API_PORT)
    own: list[dict[str, Any]] = [
        {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        *({"name": name, "value": value} for name, value in variables.items()),
    ]
    for name, (config_map, key) in program.settings.items():
        reference = {"name": config_map, "key": key, "optional": True}
        own.append({"name": name, "valueFrom": {"configMapKeyRef": reference}})
    return own


def _volumes(program: Program) -> tuple[list[Document], list[Document]]:
    volumes: list[Document] = []
    mounts: list[Document] = []
    for folder in program.folders:
        name = folder.strip("/").replace("/", "-")
        volumes.append({"name": name, "emptyDir": {}})
        mounts.append({"name": name, "mountPath": folder})
    for name, folder in program.maps.items():
        volumes.append({"name": name, "configMap": {"name": name}})
        mounts.append({"name": name, "mountPath": folder})
    if program.redis_file:
        items = [{"key": program.redis_file, "path": program.redis_file}]
        secret = {"secretName": REDIS, "items": items, "defaultMode": 0o440}
        volumes.append({"name": "redis", "secret": secret})
        mounts.append({"name": "redis", "mountPath": REDIS_FOLDER, "readOnly": True})
    return volumes, mounts
