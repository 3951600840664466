"""The kubeadm configuration (v1beta4) of a plex, and its audit policy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from plexctl.model.host_spec import HostFacts
from plexctl.model.nodes import node
from plexctl.model.plex import API_PORT, Node, Plex, Taint
from plexctl.plan.cni.choice import cni_of
from plexctl.plan.documents import Document, merge

CRI_SOCKET = "unix:///run/containerd/containerd.sock"
PKI = "/etc/kubernetes/pki"
CA_VALIDITY = "175200h0m0s"
LEAF_VALIDITY = "87600h0m0s"
"""The same as in `keys.pki`: what kubeadm renews is valid for as long as before."""

AUDIT_POLICY = "/etc/kubernetes/audit/policy.yaml"
AUDIT_LOG = "/var/log/kubernetes/audit"
INTO_PODS = (
    *(f"pods/{name}" for name in ("exec", "attach", "portforward", "proxy")),
    *("services/proxy", "nodes/proxy"),
)
"""Subresources through which users reach into pods, or call what listens in the cluster."""

PATCHES = "/etc/plexctl/patches"
"""The folder of patches that kubeadm applies to its own manifests."""


@dataclass(frozen=True, slots=True)
class ControlPlaneComponent:
    """Extra settings of one control plane program, for kubeadm and for its static pod."""

    args: tuple[tuple[str, str], ...]
    volumes: tuple[tuple[str, str, str, bool], ...] = ()  # name, path, hostPath type, read-only
    variables: tuple[tuple[str, str], ...] = ()  # of its environment


CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
)
"""Suites of TLS 1.2 without CBC, by the names that CIS 1.2.29 and 4.2.12 list; TLS 1.3 has its own.
Keys of plexctl are ECDSA; a user's certificate may be RSA."""

API_SERVER_PART = 2
"""The API server of a master with limited memory may take one part in so many of it before it
collects garbage more often. Its heap is the only one that grows with what is in the cluster."""

POD_PIDS = 4096
"""Processes and threads of a pod: the nodes of a host share its `kernel.pid_max`."""

GARBAGE = (("GOGC", "200"),)
"""Go programs collect garbage when their heap has grown by that many percent, 100 by default. While
a program starts, its heap grows from nothing, and each collection takes a processor that others
wait for. docs/architecture.md has what this gains, and why it is not more."""

# docs/explanation/cis.md names the settings that the CIS benchmark asks for.
API_SERVER = ControlPlaneComponent(
    (
        ("audit-log-compress", "true"),
        ("audit-log-maxage", "30"),
        ("audit-log-maxbackup", "10"),
        ("audit-log-maxsize", "100"),
        # In batches: no request waits for the disk.
        ("audit-log-mode", "batch"),
        ("audit-log-path", f"{AUDIT_LOG}/audit.log"),
        ("audit-policy-file", AUDIT_POLICY),
        # kubeadm's own plugin, and one that keeps users from redirecting addresses of others.
        ("enable-admission-plugins", "NodeRestriction,DenyServiceExternalIPs"),
        ("kubelet-certificate-authority", f"{PKI}/ca.crt"),
        ("profiling", "false"),
        ("service-account-extend-token-expiration", "false"),
        ("tls-cipher-suites", ",".join(CIPHER_SUITES)),
    ),
    volumes=(
        ("audit-log", AUDIT_LOG, "DirectoryOrCreate", False),
        ("audit-policy", AUDIT_POLICY, "File", True),
    ),
    variables=GARBAGE,
)

# With the default of 20 requests a second the manager needs 4.8 s from the API's start to its first
# controller, because it requests a token for each controller; with these settings 1 s. As the only
# one it needs no lease: it would get the lease a moment before the API reports that it is healthy,
# check that once, and check again only after a second.
CONTROLLER_MANAGER = ControlPlaneComponent(
    (
        ("allocate-node-cidrs", "false"),
        ("kube-api-burst", "400"),
        ("kube-api-qps", "200"),
        ("leader-elect", "false"),
        ("profiling", "false"),
        ("terminated-pod-gc-threshold", "1000"),
    ),
    variables=GARBAGE,
)
SCHEDULER = ControlPlaneComponent(
    (("leader-elect", "false"), ("profiling", "false")), variables=GARBAGE
)

# In milliseconds. A single member also waits before it elects itself, by default up to a second,
# and the API waits for it. Longer times are for messages between members; there are no others.
ETCD = ControlPlaneComponent(
    (("election-timeout", "100"), ("heartbeat-interval", "20")), variables=GARBAGE
)

# With several members, a leader that gets no processor for a while must stay leader.
ETCD_MEMBERS = (("election-timeout", "800"), ("heartbeat-interval", "80"))

# With several masters one of each kind works. kubeadm's defaults are 15, 10 and 2 seconds: for so
# long nothing would be scheduled after the loss of a master.
ELECTION = (
    ("leader-elect", "true"),
    ("leader-elect-lease-duration", "5s"),
    ("leader-elect-renew-deadline", "4s"),
    ("leader-elect-retry-period", "1s"),
)

NODE_RANGES = (("allocate-node-cidrs", "true"),)

# With several masters the service `kubernetes` leads to the endpoint of the plex, which moves in a
# second. API servers that register themselves would leave the address of a lost one for 15 s.
FIXED_ENDPOINT = (("endpoint-reconciler-type", "none"),)

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
    """The first master. With several, all have the same duties."""
    return node(plex, 1)


def endpoint(plex: Plex) -> str:
    """`address:port` of the API, whichever master answers there."""
    return f"{plex.networks.endpoint}:{API_PORT}"


def own_endpoint(own: Node) -> str:
    """`address:port` of the API server of one master."""
    return f"{own.address.ip}:{API_PORT}"


def forwarded_endpoint(plex: Plex) -> str:
    """`address:port` at which the machine that runs plexctl reaches the API."""
    if plex.api_forward is None:
        return endpoint(plex)
    return f"{plex.api_forward.address}:{plex.api_forward.port}"


def init_configuration(
    plex: Plex, facts: HostFacts, own: Node | None = None
) -> tuple[Document, ...]:
    """The documents of `kubeadm init --config` on `own`, a master; by default the first one.

    They contain no secret.
    """
    own = own or master(plex)
    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        # kubeadm always creates a token: here a random one that nobody knows, for the shortest time
        # that is not over while the controllers start. No node needs one; `kubeadm token create`
        # makes one for a foreign machine.
        "bootstrapTokens": [{"ttl": "1m0s"}],
        "localAPIEndpoint": {"advertiseAddress": str(own.address.ip), "bindPort": API_PORT},
        "patches": {"directory": PATCHES},
        "nodeRegistration": {
            "name": own.name,
            "criSocket": CRI_SOCKET,
            "imagePullPolicy": "IfNotPresent",
            "ignorePreflightErrors": [
                *EXPECTED_ERRORS,
                *(CGROUP_V1_ERRORS if facts.cgroup == 1 else ()),
            ],
            "taints": [taint_document(one) for one in own.taints],
        },
    }
    return (init, cluster_configuration(plex))


def control_plane_mark(own: Node) -> Document:
    """The labels and taints that kubeadm's phase mark-control-plane adds to a master's node."""
    labels = (
        "node-role.kubernetes.io/control-plane",
        "node.kubernetes.io/exclude-from-external-load-balancers",
    )
    return {
        "labels": dict.fromkeys(labels, ""),
        "taints": [taint_document(one) for one in own.taints],
    }


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
        "etcd": {"local": _component(ETCD)},
    }
    if cni_of(plex).allocates:
        own["controllerManager"] |= _joined(
            own["controllerManager"], {"extraArgs": _arguments(NODE_RANGES)}
        )
    if plex.masters > 1:
        _set_for_several(own)
    if not plex.durable:
        own["etcd"]["local"]["extraArgs"].append({"name": "unsafe-no-fsync", "value": "true"})
    if memory := master(plex).size.memory:
        limit = {"name": "GOMEMLIMIT", "value": str(memory // API_SERVER_PART)}
        own["apiServer"]["extraEnvs"].append(limit)
    if plex.api_forward:
        own["apiServer"]["certSANs"] = [str(plex.api_forward.address)]
    user = json.loads(plex.cluster)
    merged = merge(own, user)
    for at in (("apiServer",), ("controllerManager",), ("scheduler",), ("etcd", "local")):
        ours, theirs, component = (_component_of(each, at) for each in (own, user, merged))
        component |= _joined(ours, theirs)
    return merged


def _set_for_several(cluster: Document) -> None:
    """Replace the settings of a single master by those of one of several."""
    for name, arguments in (
        ("apiServer", FIXED_ENDPOINT),
        ("controllerManager", ELECTION),
        ("scheduler", ELECTION),
    ):
        cluster[name] |= _joined(cluster[name], {"extraArgs": _arguments(arguments)})
    cluster["etcd"]["local"]["extraArgs"] = _arguments(ETCD_MEMBERS)


def _component_of(cluster: Document, at: tuple[str, ...]) -> Document:
    for step in at:
        cluster = cluster.get(step) or {}
    return cluster


def _joined(own: Document, user: Document) -> Document:
    """The lists of both; an entry of the user replaces one of the same name."""
    lists = {}
    for field in ("extraArgs", "extraEnvs", "extraVolumes"):
        taken = {entry["name"] for entry in user.get(field, ())}
        kept = [entry for entry in own.get(field, ()) if entry["name"] not in taken]
        if both := [*kept, *user.get(field, ())]:
            lists[field] = both
    return lists


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
        "enableProfilingHandler": False,
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "imageGCHighThresholdPercent": 100,
        "podPidsLimit": POD_PIDS,
        "rotateCertificates": True,
        "seccompDefault": True,
        "serverTLSBootstrap": True,
        "staticPodPath": "/etc/kubernetes/manifests",
        "tlsCipherSuites": list(CIPHER_SUITES),
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


def audit_policy() -> Document:
    """The audit policy: metadata of changes, of reads of Secrets and ConfigMaps, of INTO_PODS.

    The log has no bodies.
    """
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
            # `kubectl exec` and the others are GET requests, since they use WebSockets.
            {"level": "Metadata", "resources": [{"group": "", "resources": list(INTO_PODS)}]},
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
    if component.variables:
        document["extraEnvs"] = _arguments(component.variables)
    if component.volumes:
        document["extraVolumes"] = [
            {
                "name": name,
                "hostPath": path,
                "mountPath": path,
                "pathType": path_type,
                **({"readOnly": True} if read_only else {}),
            }
            for name, path, path_type, read_only in component.volumes
        ]
    return document


def taint_document(taint: Taint) -> Document:
    """A taint as Kubernetes writes it."""
    document = {"key": taint.key, "effect": taint.effect}
    return {**document, "value": taint.value} if taint.value else document
