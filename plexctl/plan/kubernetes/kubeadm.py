"""The kubeadm configuration (v1beta4) of a plex, and its audit policy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from plexctl.model.host_spec import HostFacts
from plexctl.model.nodes import node
from plexctl.model.plex import Node, Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document, merge

API_PORT = 6443
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
PKI = "/etc/kubernetes/pki"
CA_VALIDITY = "175200h0m0s"
LEAF_VALIDITY = "87600h0m0s"
"""The same as in `keys.pki`: what kubeadm renews is valid for as long as before."""

AUDIT_POLICY = "/etc/kubernetes/audit/policy.yaml"
AUDIT_LOG = "/var/log/kubernetes/audit"
SCHEDULER_CONFIG = "/etc/kubernetes/scheduler/config.yaml"
PATCHES = "/etc/plexctl/patches"
"""The folder of patches that kubeadm applies to its own manifests."""


@dataclass(frozen=True, slots=True)
class ControlPlaneComponent:
    """Extra settings of one control plane program, for kubeadm and for its static pod."""

    args: tuple[tuple[str, str], ...]
    volumes: tuple[tuple[str, str, str, bool], ...] = ()  # name, path, hostPath type, read-only


API_SERVER = ControlPlaneComponent(
    (
        ("audit-log-maxage", "7"),
        ("audit-log-maxbackup", "2"),
        ("audit-log-maxsize", "50"),
        # In batches: no request waits for the disk.
        ("audit-log-mode", "batch"),
        ("audit-log-path", f"{AUDIT_LOG}/audit.log"),
        ("audit-policy-file", AUDIT_POLICY),
        ("kubelet-certificate-authority", f"{PKI}/ca.crt"),
    ),
    (
        ("audit-log", AUDIT_LOG, "DirectoryOrCreate", False),
        ("audit-policy", AUDIT_POLICY, "File", True),
    ),
)

# With the default of 20 requests a second the manager needs 4.8 s from the API's start to its first
# controller, because it requests a token for each controller; with these settings 1 s. As the only
# one it needs no lease: it would get the lease a moment before the API reports that it is healthy,
# check that once, and check again only after a second.
CONTROLLER_MANAGER = ControlPlaneComponent(
    (
        # The pod network of a node depends on its number, not on the order of registration.
        ("allocate-node-cidrs", "false"),
        ("kube-api-burst", "400"),
        ("kube-api-qps", "200"),
        ("leader-elect", "false"),
    )
)
# A scheduler that fills its caches while it waits for its lease sends requests before it has the
# rights, and repeats them only after seconds. `delayCacheUntilActive`, which is no flag, prevents
# that. The scheduler tries to get its lease, and renews it, at this interval; the default is 2 s.
SCHEDULER = ControlPlaneComponent(
    (("config", SCHEDULER_CONFIG), ("leader-elect-retry-period", "500ms")),
    (("config", SCHEDULER_CONFIG, "File", True),),
)

# In milliseconds. A single member also waits before it elects itself, by default up to a second,
# and the API waits for it. Longer times are for messages between members; there are no others.
ETCD = (("election-timeout", "100"), ("heartbeat-interval", "20"))

EXPECTED_ERRORS = (
    *(f"Port-{port}" for port in (API_PORT, 10259, 10257, 10250, 2379, 2380)),
    *(
        f"FileAvailable--etc-kubernetes-manifests-{name}.yaml"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    ),
    "DirAvailable--var-lib-etcd",
    *("Mem", "NumCPU"),  # a node has the size that its file gives it
)
"""Findings of kubeadm's preflight that are expected on a master that runs already."""

CGROUP_V1_ERRORS = ("SystemVerification",)
"""The same on a host with control groups v1."""


def master(plex: Plex) -> Node:
    return node(plex, 1)


def endpoint(plex: Plex) -> str:
    """`address:port` at which the nodes of the plex reach the API."""
    return f"{master(plex).address.ip}:{API_PORT}"


def forwarded_endpoint(plex: Plex) -> str:
    """`address:port` at which the machine that runs plexctl reaches the API."""
    if plex.api_forward is None:
        return endpoint(plex)
    return f"{plex.api_forward.address}:{plex.api_forward.port}"


def init_configuration(plex: Plex, token: Secret, facts: HostFacts) -> tuple[Document, ...]:
    """The documents of `kubeadm init --config`. They contain the bootstrap token."""
    first = master(plex)
    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": token.reveal_text(), "ttl": "24h0m0s"}],
        "localAPIEndpoint": {"advertiseAddress": str(first.address.ip), "bindPort": API_PORT},
        "patches": {"directory": PATCHES},
        "nodeRegistration": {
            "name": first.name,
            "criSocket": CRI_SOCKET,
            "imagePullPolicy": "IfNotPresent",
            "ignorePreflightErrors": [
                *EXPECTED_ERRORS,
                *(CGROUP_V1_ERRORS if facts.cgroup == 1 else ()),
            ],
            "taints": [_taint(t.key, t.value, t.effect) for t in first.taints],
        },
    }
    return (init, cluster_configuration(plex))


def cluster_configuration(plex: Plex) -> Document:
    """ClusterConfiguration: plexctl's settings with the user's merged into them."""
    own: Document = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": plex.name,
        "kubernetesVersion": f"v{plex.kubernetes}",
        "controlPlaneEndpoint": endpoint(plex),
        "networking": {
            "podSubnet": str(plex.networks.pods),
            "serviceSubnet": str(plex.networks.services),
            "dnsDomain": plex.domain,
        },
        "encryptionAlgorithm": "ECDSA-P256",
        "caCertificateValidityPeriod": CA_VALIDITY,
        "certificateValidityPeriod": LEAF_VALIDITY,
        "apiServer": _component(API_SERVER),
        "controllerManager": _component(CONTROLLER_MANAGER),
        "scheduler": _component(SCHEDULER),
        "etcd": {"local": {"extraArgs": _arguments(ETCD)}},
    }
    if not plex.durable:
        own["etcd"]["local"]["extraArgs"].append({"name": "unsafe-no-fsync", "value": "true"})
    if plex.api_forward:
        own["apiServer"]["certSANs"] = [str(plex.api_forward.address)]
    user = json.loads(plex.cluster)
    merged = merge(own, user)
    # Lists of arguments and volumes are joined; the user's argument replaces one of the same name.
    for name in ("apiServer", "controllerManager", "scheduler"):
        for field in ("extraArgs", "extraVolumes"):
            both = _by_name(own[name].get(field, []), user.get(name, {}).get(field, []))
            if both:
                merged[name][field] = both
    both = _by_name(
        *(each.get("etcd", {}).get("local", {}).get("extraArgs", []) for each in (own, user))
    )
    if both:
        merged["etcd"]["local"]["extraArgs"] = both
    return merged


def kubelet_configuration(plex: Plex, facts: HostFacts) -> Document:
    """KubeletConfiguration of the cluster. Settings of one node are merged into it on that node."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs" if facts.cgroup == 1 else "systemd",
        "clusterDNS": [str(plex.networks.dns_service)],
        "clusterDomain": plex.domain,
        # The node sees the disk of its host: evictions would not help.
        "evictionHard": {
            "imagefs.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "imageGCHighThresholdPercent": 100,
        "rotateCertificates": True,
        "serverTLSBootstrap": True,
        "staticPodPath": "/etc/kubernetes/manifests",
    }


def proxy_configuration(plex: Plex) -> Document:
    """KubeProxyConfiguration: nftables, and no change of the host's conntrack table."""
    own = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clusterCIDR": str(plex.networks.pods),
        "conntrack": {"maxPerCore": 0, "min": 0},
        "mode": "nftables",
    }
    return merge(own, json.loads(plex.proxy))


def scheduler_configuration() -> Document:
    """KubeSchedulerConfiguration. The flags that kubeadm sets override it."""
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/scheduler.conf"},
        "delayCacheUntilActive": True,
    }


def audit_policy() -> Document:
    """The audit policy: metadata of changes, and of reads of Secrets and ConfigMaps. No bodies."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "resources": [{"group": "coordination.k8s.io"}]},
            {
                "level": "Metadata",
                "resources": [{"group": "", "resources": ["secrets", "configmaps"]}],
            },
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
            {"level": "None", "resources": [{"group": "events.k8s.io"}]},
            {"level": "Metadata"},
        ],
    }


def _arguments(pairs: Iterable[tuple[str, str]]) -> list[Document]:
    return [{"name": name, "value": value} for name, value in pairs]


def _component(component: ControlPlaneComponent) -> Document:
    document: Document = {"extraArgs": _arguments(component.args)}
    if component.volumes:
        document["extraVolumes"] = [
            {
                "name": name,
                "hostPath": path,
                "mountPath": path,
                "pathType": path_type,
                "readOnly": read_only,
            }
            for name, path, path_type, read_only in component.volumes
        ]
    return document


def _by_name(below: list[dict[str, Any]], above: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {entry["name"] for entry in above}
    return [entry for entry in below if entry["name"] not in taken] + above


def _taint(key: str, value: str, effect: str) -> Document:
    taint = {"key": key, "effect": effect}
    return {**taint, "value": value} if value else taint
