"""What a cluster that runs has for the number of its masters, beside the masters themselves.

kubeadm and genesis write it when a cluster begins. It has to follow when masters come and go: a
later `kubeadm upgrade node` writes static pods from the configuration in the cluster.
"""

from __future__ import annotations

from typing import Any

from plexctl.bootstrap.wait import unless_unreachable
from plexctl.clients.kube.client import Kube
from plexctl.model.condition import Condition, Observation
from plexctl.model.plex import Plex
from plexctl.plan.documents import Document, dump, merge
from plexctl.plan.kubernetes import coredns
from plexctl.plan.kubernetes.kubeadm import cluster_configuration
from plexctl.plan.kubernetes.quiet import proxy_patch, quiet

SYSTEM = "namespaces/kube-system"
CONFIGURATION = f"/api/v1/{SYSTEM}/configmaps/kubeadm-config"
FIELD = "ClusterConfiguration"
COREDNS = f"/apis/apps/v1/{SYSTEM}/deployments/coredns"
PROXY = f"/apis/apps/v1/{SYSTEM}/daemonsets/kube-proxy"

ROLLED_OUT = 60.0
"""Seconds until CoreDNS has been rolled out."""

SHAPED = 30.0
"""Seconds until an API that answers has taken all settings."""


def shape_cluster(plex: Plex, kube: Kube) -> None:
    """Bring kubeadm's configuration, CoreDNS and kube-proxy to what the plex says.

    The API writes nothing where that is so already.
    """
    _configure(plex, kube)
    shape_dns(plex, kube)
    if quiet(plex):
        kube.patch_lists(PROXY, proxy_patch(plex))


def shape_dns(plex: Plex, kube: Kube, *, least: int = 0) -> None:
    """Let CoreDNS prefer the masters of the plex, with at least that many replicas."""
    patch = coredns.patch(plex)
    patch["spec"]["replicas"] = max(least, plex.dns_replicas)
    kube.patch_lists(COREDNS, patch)


def dns_rolled_out(plex: Plex, kube: Kube) -> Condition:
    """Every replica of CoreDNS is one of its present form, and available."""

    def probe() -> Observation:
        found = kube.read(COREDNS)
        return Observation(found is None or _rolled_out(found), "replicas of CoreDNS are missing")

    return Condition(f"CoreDNS of {plex.name} has been rolled out", probe, ROLLED_OUT, every=0.3)


def shaped(plex: Plex, kube: Kube) -> Condition:
    """What depends on the number of masters is as the plex says."""

    def probe() -> Observation:
        shape_cluster(plex, kube)
        return Observation(True)

    return Condition(f"{plex.name} is set up for its masters", unless_unreachable(probe), SHAPED)


def _rolled_out(deployment: dict[str, Any]) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    counts = [status.get(f"{name}eplicas", 0) for name in ("r", "updatedR", "availableR")]
    current = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return current and counts == [wanted] * len(counts)


def _configure(plex: Plex, kube: Kube) -> None:
    import yaml

    found = (kube.read(CONFIGURATION) or {}).get("data") or {}
    if FIELD not in found:
        return  # somebody has deleted it
    there: Document = yaml.load(found[FIELD], yaml.CSafeLoader)
    wanted = merge(there, cluster_configuration(plex))
    if wanted != there:
        kube.patch(CONFIGURATION, {"data": {FIELD: dump(wanted)}})
