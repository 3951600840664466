"""plexctl's patch of the CoreDNS that kubeadm installs."""

from __future__ import annotations

from plexctl.model.nodes import MASTER_TAINT, masters
from plexctl.model.plex import API_PORT, Plex
from plexctl.plan.documents import Document
from plexctl.plan.kubernetes.quiet import quiet


def patch(plex: Plex) -> Document:
    """The patch of CoreDNS' Deployment: `dns_replicas`, Ready within a second after they answer.

    The scheduler prefers masters: they are there first, and no deleted worker takes DNS with it.
    CoreDNS calls the API at the endpoint of the plex. At the service's address it would wait for
    kube-proxy, and then for its own next attempt.
    """
    api = {"HOST": str(plex.networks.endpoint), "PORT": str(API_PORT)}
    container = {
        "name": "coredns",
        "env": [
            *({"name": f"KUBERNETES_SERVICE_{name}", "value": api[name]} for name in api),
            *quiet(plex),
        ],
        "readinessProbe": {"periodSeconds": 1},
    }
    # Select masters by the name that they register with: the label of its role may come too late.
    name = {
        "key": "kubernetes.io/hostname",
        "operator": "In",
        "values": [one.name for one in masters(plex)],
    }
    wanted = {"weight": 100, "preference": {"matchExpressions": [name]}}
    # The two of kubeadm, and the taint that every node has at first. Without the last, CoreDNS
    # would run on the node that loses this taint first.
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
