"""What plexctl changes of the CoreDNS that kubeadm installs."""

from __future__ import annotations

from plexctl.model.nodes import MASTER_TAINT
from plexctl.model.plex import Plex
from plexctl.plan.documents import Document
from plexctl.plan.kubernetes import kubeadm


def patch(plex: Plex) -> Document:
    """Laid over kubeadm's CoreDNS: as many as asked for, Ready a second after they answer.

    The first one is on the master: it is there first, and no worker that goes takes DNS with it.
    It asks the API itself: by the service's address it would wait for kube-proxy, and then for
    its own next try.
    """
    api = {"HOST": str(kubeadm.master(plex).address.ip), "PORT": str(kubeadm.API_PORT)}
    container = {
        "name": "coredns",
        "env": [{"name": f"KUBERNETES_SERVICE_{name}", "value": api[name]} for name in api],
        "readinessProbe": {"periodSeconds": 1},
    }
    # By its name, which it registers with: the label of its role comes later, perhaps too late.
    name = {
        "key": "kubernetes.io/hostname",
        "operator": "In",
        "values": [kubeadm.master(plex).name],
    }
    wanted = {"weight": 100, "preference": {"matchExpressions": [name]}}
    # kubeadm's two, and that taint with which every node begins: whichever node lost it first
    # would have DNS otherwise.
    tolerations = [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": MASTER_TAINT.key, "effect": MASTER_TAINT.effect},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
    ]
    pod = {
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wanted]}},
        "containers": [container],
        "tolerations": tolerations,
    }
    return {"spec": {"replicas": plex.dns_replicas, "template": {"spec": pod}}}
