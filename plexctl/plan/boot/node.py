"""The files that a node boots with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plexctl.keys.certificates import KeyPair
from plexctl.keys.pki import ClusterKeys, Master
from plexctl.keys.ssh import SshKey
from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import Node, Plex, Role
from plexctl.model.secret import Secret
from plexctl.plan.boot.files import BootFile, folder, link, private, text
from plexctl.plan.cni.choice import cni_of
from plexctl.plan.documents import dump, merge
from plexctl.plan.kubernetes import coredns, kubeadm
from plexctl.plan.kubernetes.kubeconfig import kubeconfig, kubelet_kubeconfig
from plexctl.plan.kubernetes.static_pods import static_pods
from plexctl.plan.network.endpoint import endpoint_files
from plexctl.plan.network.files import Neighbour, network_files

KUBERNETES = "/etc/kubernetes"
MANIFESTS = f"{KUBERNETES}/manifests"
HELD_MANIFESTS = "/etc/plexctl/manifests"
"""Manifests of static pods that the master moves to MANIFESTS once the API has its first roles."""

NEED_NO_API = ("etcd", "kube-apiserver")
KUBELET = "/var/lib/kubelet"
KUBELET_PKI = f"{KUBELET}/pki"
ISSUED = "2026-01-01-00-00-00"
"""The date in the names of kubelet's certificate files; kubelet writes the date of a renewal."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys in the files of all nodes of a plex."""

    cluster: ClusterKeys
    client: SshKey
    hosts: Mapping[str, SshKey]  # by node


def boot_files(
    plex: Plex,
    node: Node,
    others: tuple[Neighbour, ...],
    keys: Keyring,
    facts: HostFacts,
    images: Mapping[str, str],
    mirrors: tuple[BootFile, ...] = (),
    joins: Sequence[Node] = (),
) -> tuple[BootFile, ...]:
    """The files of `node`, without the contents of etcd (`plan.genesis`).

    `images` are the references of the control plane's images; `mirrors` are the files that make
    containerd use the lab's registry; `joins` are the members of etcd if `node` is a master that
    joins a cluster that runs.
    """
    files = (
        *network_files(plex, node, others, joins=bool(joins)),
        *ssh_files(keys.hosts[node.name], keys.client),
    )
    if node.role is Role.PLAIN:
        return files
    files += mirrors
    files += (*cni_of(plex).files(plex, node), *_kubelet_files(plex, node, keys.cluster, facts))
    if node.role is Role.MASTER:
        files += _master_files(plex, node, keys.cluster, facts, images, joins)
    return files


def ssh_files(host: SshKey, client: SshKey) -> tuple[BootFile, ...]:
    """The SSH host key of a machine, and the keys that may log in to it."""
    return (
        private("/etc/ssh/ssh_host_ed25519_key", host.private.reveal()),
        text("/etc/ssh/ssh_host_ed25519_key.pub", f"{host.public}\n"),
        folder("/root/.ssh", 0o700),
        text("/root/.ssh/authorized_keys", f"{client.public}\n", 0o600),
    )


def _kubelet_files(
    plex: Plex, node: Node, keys: ClusterKeys, facts: HostFacts
) -> tuple[BootFile, ...]:
    """The files that `kubeadm join` writes on a node, with certificates that exist beforehand."""
    ca = keys.ca.pair.certificate
    client = f"{KUBELET_PKI}/kubelet-client-current.pem"
    cri = {"containerRuntimeEndpoint": kubeadm.CRI_SOCKET}
    config = merge(merge(kubeadm.kubelet_configuration(plex, facts), cri), json.loads(node.kubelet))
    return (
        text(f"{kubeadm.PKI}/ca.crt", ca.decode()),
        private(
            f"{KUBERNETES}/kubelet.conf",
            dump(kubelet_kubeconfig(plex, ca, node, client)).encode(),
        ),
        folder(MANIFESTS, 0o700),
        private(f"{KUBELET}/config.yaml", dump(config).encode()),  # CIS 4.1.9
        text(f"{KUBELET}/instance-config.yaml", dump(cri)),
        text(f"{KUBELET}/kubeadm-flags.env", f'KUBELET_KUBEADM_ARGS="{kubelet_flags(node)}"\n'),
        *_current("kubelet-client", keys.kubelet_client(node.name)),
        *_current("kubelet-server", keys.kubelet_server(node.name, node.address.ip)),
    )


def kubelet_flags(node: Node) -> str:
    """The settings that kubeadm passes to kubelet by flags: labels, and taints of workers."""
    flags = []
    if node.labels:
        flags.append("--node-labels=" + ",".join(f"{key}={value}" for key, value in node.labels))
    if node.taints and node.role is Role.WORKER:
        taints = (f"{t.key}={t.value}:{t.effect}" for t in node.taints)
        flags.append("--register-with-taints=" + ",".join(taints))
    return " ".join(flags)


def _current(name: str, pair: KeyPair) -> tuple[BootFile, ...]:
    """A pair in the layout of kubelet: one file, and a link to the file in use."""
    file = f"{KUBELET_PKI}/{name}-{ISSUED}.pem"
    return (
        private(file, pair.certificate + pair.key.reveal()),
        link(f"{KUBELET_PKI}/{name}-current.pem", file),
    )


def _master_files(
    plex: Plex,
    node: Node,
    keys: ClusterKeys,
    facts: HostFacts,
    images: Mapping[str, str],
    joins: Sequence[Node],
) -> tuple[BootFile, ...]:
    """The files that `kubeadm init` writes on a master before the API answers."""
    ca = keys.ca.pair.certificate
    everyone, own = kubeadm.endpoint(plex), kubeadm.own_endpoint(node)
    users = {
        "admin": ("kubernetes-admin", keys.admin(), everyone),
        "super-admin": ("kubernetes-super-admin", keys.super_admin(), everyone),
        "controller-manager": ("system:kube-controller-manager", keys.controller_manager(), own),
        "scheduler": ("system:kube-scheduler", keys.scheduler(), own),
    }
    configuration = dump(
        *kubeadm.init_configuration(plex, facts, node),
        kubeadm.kubelet_configuration(plex, facts),
        kubeadm.proxy_configuration(plex),
    )
    return (
        *_pki_files(plex, node, keys),
        *(
            private(
                f"{KUBERNETES}/{name}.conf",
                dump(kubeconfig(plex, ca, user, pair, server=server)).encode(),
            )
            for name, (user, pair, server) in users.items()
        ),
        *(
            private(f"{_manifests(name)}/{name}.yaml", dump(pod).encode())
            for name, pod in static_pods(plex, dict(images), node, joins).items()
        ),
        folder("/var/lib/etcd", 0o700),
        text(kubeadm.AUDIT_POLICY, dump(kubeadm.audit_policy())),
        private("/etc/plexctl/kubeadm.yaml", configuration.encode()),
        text(f"{kubeadm.PATCHES}/corednsdeployment.json", json.dumps(coredns.patch(plex))),
        *endpoint_files(plex, node),
    )


def _manifests(pod: str) -> str:
    """The folder of a manifest. A pod that needs the API would only slow down the API's start."""
    return MANIFESTS if pod in NEED_NO_API else HELD_MANIFESTS


def _pki_files(plex: Plex, node: Node, keys: ClusterKeys) -> tuple[BootFile, ...]:
    master = Master(
        name=node.name,
        address=node.address.ip,
        service=plex.networks.api_service,
        domain=plex.domain,
        extra_sans=(
            str(plex.networks.endpoint),
            *((str(plex.api_forward.address),) if plex.api_forward else ()),
        ),
    )
    files = keys.pki_files(master)
    del files["ca.crt"]  # every node has it
    return tuple(
        private(f"{kubeadm.PKI}/{name}", content.reveal())
        if isinstance(content, Secret)
        else text(f"{kubeadm.PKI}/{name}", content.decode())
        for name, content in files.items()
    )
