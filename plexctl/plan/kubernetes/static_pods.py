"""The static pods of a master, as `kubeadm init phase etcd` and `control-plane` write them.

A test compares them with the output of the real kubeadm for the same configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plexctl.model.nodes import masters
from plexctl.model.plex import API_PORT, Node, Plex
from plexctl.plan.documents import Document
from plexctl.plan.kubernetes.differences import flex_volumes
from plexctl.plan.kubernetes.kubeadm import PKI, cluster_configuration, master
from plexctl.plan.kubernetes.probes import liveness, readiness, startup

ETCD = f"{PKI}/etcd"
CONFIG = "/etc/kubernetes"
CERTIFICATE_FOLDERS = (
    ("ca-certs", "/etc/ssl/certs"),
    ("etc-ca-certificates", "/etc/ca-certificates"),
    ("k8s-certs", PKI),
    ("usr-local-share-ca-certificates", "/usr/local/share/ca-certificates"),
    ("usr-share-ca-certificates", "/usr/share/ca-certificates"),
)
"""kubeadm mounts the folders that exist on the node. All of these exist on Debian."""

Volume = tuple[str, str, str, bool]  # name, path, hostPath type, read-only


def static_pods(
    plex: Plex, images: dict[str, str], own: Node | None = None, joins: Sequence[Node] = ()
) -> dict[str, Document]:
    """Static pods of `own` (by default the first master) by file name without ".yaml".

    `images` maps a component to its reference. With `joins`, etcd of this master joins members
    that run: these are all members, itself included.
    """
    cluster, own = cluster_configuration(plex), own or master(plex)
    return {
        "etcd": _etcd(own, joins or masters(plex), cluster, images["etcd"], joins=bool(joins)),
        "kube-apiserver": _api_server(plex, own, cluster, images["kube-apiserver"]),
        "kube-controller-manager": _controller_manager(
            plex, cluster, images["kube-controller-manager"]
        ),
        "kube-scheduler": _scheduler(cluster, images["kube-scheduler"]),
    }


def _etcd(
    own: Node, members: Sequence[Node], cluster: Document, image: str, *, joins: bool
) -> Document:
    client, peer = f"https://{own.address.ip}:2379", peer_url(own)
    local = cluster.get("etcd", {}).get("local", {})
    data = local.get("dataDir", "/var/lib/etcd")
    arguments = {
        "name": own.name,
        "listen-client-urls": f"https://127.0.0.1:2379,{client}",
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(f"{one.name}={peer_url(one)}" for one in members),
        **({"initial-cluster-state": "existing"} if joins else {}),
        "data-dir": data,
        "cert-file": f"{ETCD}/server.crt",
        "key-file": f"{ETCD}/server.key",
        "trusted-ca-file": f"{ETCD}/ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": f"{ETCD}/peer.crt",
        "peer-key-file": f"{ETCD}/peer.key",
        "peer-trusted-ca-file": f"{ETCD}/ca.crt",
        "peer-client-cert-auth": "true",
        "snapshot-count": "10000",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "feature-gates": "InitialCorruptCheck=true",
        "watch-progress-notify-interval": "5s",
    }
    return _pod(
        "etcd",
        image,
        _command("etcd", arguments, local.get("extraArgs", [])),
        environment=_environment(local),
        port=2381,
        requests={"cpu": "100m", "memory": "100Mi"},
        probes={
            "livenessProbe": liveness("127.0.0.1", "/livez", "HTTP"),
            "readinessProbe": readiness("127.0.0.1", "/readyz", "HTTP"),
            "startupProbe": startup("127.0.0.1", "/readyz", "HTTP"),
        },
        volumes=(
            ("etcd-certs", ETCD, "DirectoryOrCreate", False),
            ("etcd-data", data, "DirectoryOrCreate", False),
        ),
        mounts_first=("etcd-data", "etcd-certs"),
        annotations={"kubeadm.kubernetes.io/etcd.advertise-client-urls": client},
    )


def peer_url(member: Node) -> str:
    """Where etcd of a master listens for the other members."""
    return f"https://{member.address.ip}:2380"


def _api_server(plex: Plex, own: Node, cluster: Document, image: str) -> Document:
    address = str(own.address.ip)
    arguments = {
        "advertise-address": address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{PKI}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{ETCD}/ca.crt",
        "etcd-certfile": f"{PKI}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{PKI}/apiserver-etcd-client.key",
        "etcd-servers": "https://127.0.0.1:2379",
        "kubelet-client-certificate": f"{PKI}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{PKI}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{PKI}/front-proxy-client.crt",
        "proxy-client-key-file": f"{PKI}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{PKI}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(API_PORT),
        "service-account-issuer": f"https://kubernetes.default.svc.{plex.domain}",
        "service-account-key-file": f"{PKI}/sa.pub",
        "service-account-signing-key-file": f"{PKI}/sa.key",
        "service-cluster-ip-range": str(plex.networks.services),
        "tls-cert-file": f"{PKI}/apiserver.crt",
        "tls-private-key-file": f"{PKI}/apiserver.key",
    }
    return _control_plane_pod(
        "kube-apiserver",
        image,
        arguments,
        cluster["apiServer"],
        port=API_PORT,
        cpu="250m",
        probes={
            "livenessProbe": liveness(address, "/livez"),
            "readinessProbe": readiness(address, "/readyz"),
            "startupProbe": startup(address, "/livez"),
        },
        volumes=_certificates(),
        annotations={
            "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": (
                f"{address}:{API_PORT}"
            )
        },
    )


def _controller_manager(plex: Plex, cluster: Document, image: str) -> Document:
    kubeconfig = f"{CONFIG}/controller-manager.conf"
    arguments = {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{PKI}/ca.crt",
        "cluster-cidr": str(plex.networks.pods),
        "cluster-name": plex.name,
        "cluster-signing-cert-file": f"{PKI}/ca.crt",
        "cluster-signing-key-file": f"{PKI}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{PKI}/front-proxy-ca.crt",
        "root-ca-file": f"{PKI}/ca.crt",
        "service-account-private-key-file": f"{PKI}/sa.key",
        "service-cluster-ip-range": str(plex.networks.services),
        "use-service-account-credentials": "true",
    }
    return _control_plane_pod(
        "kube-controller-manager",
        image,
        arguments,
        cluster["controllerManager"],
        port=10257,
        cpu="200m",
        probes={
            "livenessProbe": liveness("127.0.0.1", "/healthz"),
            "startupProbe": startup("127.0.0.1", "/healthz"),
        },
        volumes=(
            *_certificates(),
            *flex_volumes(plex.kubernetes, cluster["controllerManager"]),
            ("kubeconfig", kubeconfig, "FileOrCreate", True),
        ),
    )


def _scheduler(cluster: Document, image: str) -> Document:
    kubeconfig = f"{CONFIG}/scheduler.conf"
    arguments = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
    }
    return _control_plane_pod(
        "kube-scheduler",
        image,
        arguments,
        cluster["scheduler"],
        port=10259,
        cpu="100m",
        probes={
            "livenessProbe": liveness("127.0.0.1", "/livez"),
            "readinessProbe": readiness("127.0.0.1", "/readyz"),
            "startupProbe": startup("127.0.0.1", "/livez"),
        },
        volumes=(("kubeconfig", kubeconfig, "FileOrCreate", True),),
    )


def _control_plane_pod(
    name: str,
    image: str,
    arguments: dict[str, str],
    extra: Document,
    *,
    port: int,
    cpu: str,
    probes: dict[str, Document],
    volumes: tuple[Volume, ...],
    annotations: dict[str, str] | None = None,
) -> Document:
    more = tuple(
        (v["name"], v["hostPath"], v.get("pathType", ""), bool(v.get("readOnly")))
        for v in extra.get("extraVolumes", [])
    )
    return _pod(
        name,
        image,
        _command(name, arguments, extra.get("extraArgs", [])),
        environment=_environment(extra),
        port=port,
        requests={"cpu": cpu},
        probes=probes,
        volumes=tuple(sorted(volumes + more)),
        annotations=annotations,
    )


def _pod(
    name: str,
    image: str,
    command: list[str],
    *,
    environment: list[Document],
    port: int,
    requests: dict[str, str],
    probes: dict[str, Document],
    volumes: tuple[Volume, ...],
    mounts_first: tuple[str, ...] = (),
    annotations: dict[str, str] | None = None,
) -> Document:
    mounted = {v[0]: v for v in volumes}
    order = mounts_first or tuple(mounted)
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "ports": [{"containerPort": port, "name": "probe-port", "protocol": "TCP"}],
        "resources": {"requests": requests},
        "volumeMounts": [_mount(*mounted[volume]) for volume in order],
        **probes,
    }
    if environment:
        container["env"] = environment
    metadata: Document = {
        "name": name,
        "namespace": "kube-system",
        "labels": {"component": name, "tier": "control-plane"},
    }
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                {"name": v, "hostPath": {"path": path, **({"type": kind} if kind else {})}}
                for v, path, kind, _ in volumes
            ],
        },
        "status": {},
    }


def _certificates() -> tuple[Volume, ...]:
    return tuple((name, path, "DirectoryOrCreate", True) for name, path in CERTIFICATE_FOLDERS)


def _mount(name: str, path: str, _kind: str, read_only: bool) -> Document:
    mount: Document = {"name": name, "mountPath": path}
    return {**mount, "readOnly": True} if read_only else mount


def _environment(extra: Document) -> list[Document]:
    return sorted(extra.get("extraEnvs", []), key=lambda variable: str(variable["name"]))


def _command(program: str, own: dict[str, str], extra: list[dict[str, str]]) -> list[str]:
    """Arguments in kubeadm's order: its own by name, then the extra ones, which take precedence."""
    taken = {argument["name"] for argument in extra}
    kept = sorted((name, value) for name, value in own.items() if name not in taken)
    added = sorted((argument["name"], argument["value"]) for argument in extra)
    return [program, *(f"--{name}={value}" for name, value in kept + added)]
