"""What `kubeadm upgrade apply` does to the objects of a cluster, by kubeadm's own phases.

The nodes have their files already. What is left are the uploaded configuration, the rights of nodes
and of machines that join, and the addons.

kube-proxy comes twice. A node has only the image of its own version, and a DaemonSet has one image
for all nodes: so the new one is set as soon as a master is new, and until all nodes are, pods are
not replaced by themselves (`OnDelete`). kubeadm writes the rest of the addon at the end.
"""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.host import Host

PROXY = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
PROXY_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
PODS = "/api/v1/namespaces/kube-system/pods"
PROXY_PODS = "k8s-app=kube-proxy"
RESTARTED = "kubectl.kubernetes.io/restartedAt"

PHASES = (
    ("upload-config", "all"),
    ("addon", "coredns"),
    ("bootstrap-token",),
)
"""Phases of `kubeadm init` once all masters are new."""

CONFIG = ("--config=/etc/plexctl/kubeadm.yaml", "--kubeconfig=/etc/kubernetes/admin.conf")
SECONDS = 180.0


def run_phases(host: Host, master: str, phases: tuple[tuple[str, ...], ...] = PHASES) -> None:
    """Run phases of kubeadm on a master. PlexError with kubeadm's last error.

    The standard output of kubeadm contains a bootstrap token: it stays on the node.
    """
    for phase in phases:
        command = shlex.join(("kubeadm", "init", "phase", *phase, *CONFIG))
        argv = ("sh", "-c", f"exec {command} >/dev/null")
        done = host.execute(master, argv, timeout=SECONDS)
        if done.code:
            raise PlexError(
                f"kubeadm's phase {' '.join(phase)} failed on {master}",
                details=done.stderr.strip().splitlines()[-3:],
            )


def set_proxy_image(kube: Kube, image: str) -> bool:
    """Let new pods of kube-proxy have `image`, and old ones stay. False if they have it already."""
    found = kube.read(PROXY)
    if found is None:  # `proxy: {disabled: true}` of kubeadm
        return False
    containers = found["spec"]["template"]["spec"]["containers"]
    if all(one["image"] == image for one in containers):
        return False
    changed = [{**one, "image": image} for one in containers]
    change: dict[str, Any] = {
        "spec": {
            "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
            "template": {"spec": {"containers": changed}},
        }
    }
    return kube.patch(PROXY, change)


def renew_proxy(kube: Kube, node: str, image: str) -> None:
    """Let a new node have a pod of kube-proxy with `image`: it lacks the image of the old pod."""
    found = kube.read(
        PODS, params={"fieldSelector": f"spec.nodeName={node}", "labelSelector": PROXY_PODS}
    )
    for pod in (found or {}).get("items", ()):
        if any(one["image"] != image for one in pod["spec"]["containers"]):
            kube.delete(f"{PODS}/{pod['metadata']['name']}")


def complete_proxy(kube: Kube, host: Host, master: str) -> None:
    """Write the addon kube-proxy as kubeadm does; its pods start again if their settings differ."""
    before = _proxy_settings(kube)
    if before is None:
        return
    run_phases(host, master, (("addon", "kube-proxy"),))
    if _proxy_settings(kube) != before:
        stamp = (kube.read(PROXY_CONFIG) or {})["metadata"]["resourceVersion"]
        template = {"metadata": {"annotations": {RESTARTED: stamp}}}
        kube.patch(PROXY, {"spec": {"template": template}})


def _proxy_settings(kube: Kube) -> object:
    """What kube-proxy's ConfigMap says, however that is written; None if there is none."""
    found = kube.read(PROXY_CONFIG)
    if not found:
        return None
    return {key: _settings(text) for key, text in (found.get("data") or {}).items()}


def _settings(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
