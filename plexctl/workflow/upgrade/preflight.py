"""What is checked before an upgrade changes anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from plexctl.bootstrap.etcd import Etcd, faults
from plexctl.clients.kube.client import Kube, NodeStatus
from plexctl.errors import PlexError, UsageError
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import masters, nodes
from plexctl.model.observed import RUNNING
from plexctl.model.plex import Plex
from plexctl.model.types import Form
from plexctl.workflow.core.context import Context
from plexctl.workflow.plex.drain import refuse_to_lose_pods
from plexctl.workflow.snapshots.members import Members
from plexctl.workflow.upgrade.changes import require_same_nodes
from plexctl.workflow.upgrade.deprecated import removed_apis
from plexctl.workflow.upgrade.skew import minor, require_skew

KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
NETWORKING = {"podSubnet": "pods", "serviceSubnet": "services", "dnsDomain": "domain"}
"""Fields of ClusterConfiguration that a cluster cannot change, and those of a plex file."""


@dataclass(frozen=True, slots=True)
class Running:
    """The cluster before the upgrade."""

    version: str  # "v1.35.4", of its API server
    nodes: tuple[NodeStatus, ...]

    @property
    def kubelets(self) -> dict[str, str]:
        return {one.name: one.version for one in self.nodes}


def require_kind(ctx: Context, plex: Plex) -> None:
    """UsageError for a plex whose nodes cannot be kept: of OpenTofu, on Proxmox, and VMs."""
    if plex.engine is ProvisionEngine.TOFU:
        raise UsageError(
            f"plexctl upgrades no plex of OpenTofu, and {plex.name} has `engine: tofu`",
            hint=f"`plexctl engine direct {plex.name}` first; no node is replaced by that",
        )
    for host in plex.hosts:
        _ = ctx.hosts[host].keeper, ctx.hosts[host].snapshots
    vms = [node.name for node in nodes(plex) if node.type.base.form is Form.VM]
    if vms:
        raise UsageError(
            f"plexctl upgrades only containers, and {', '.join(vms)} of {plex.name} are VMs",
            hint=f"nothing was changed; `plexctl up {plex.name}` replaces the cluster",
        )


def require_running(members: Members) -> None:
    """UsageError if nodes are missing, or do not run."""
    plex = members.plex
    require_same_nodes(plex, members.names)
    stopped = [one.name for one in members.all if one.observed.status != RUNNING]
    if stopped:
        raise UsageError(
            f"refusing to upgrade {plex.name}: {', '.join(stopped)} do not run",
            hint=f"`incus start NODE` on their host; `plexctl status {plex.name}` shows all nodes",
        )


def require_healthy(ctx: Context, plex: Plex, kube: Kube, version: str) -> Running:
    """The cluster that runs. UsageError if it cannot become one of `version` now."""
    found = Running(str((kube.read("/version") or {}).get("gitVersion", "")), kube.nodes())
    require_skew(plex.name, found.version, f"v{version}", found.kubelets)
    _require_ready(plex, found.nodes)
    _require_networks(plex, kube)
    if plex.masters > 1:
        _require_etcd(ctx, plex)
    return found


def require_apis(kube: Kube, plex: str, before: str, after: str, *, agreed: bool) -> None:
    """UsageError if clients have used APIs that the version `after` lacks, unless `agreed`."""
    if agreed or minor(before) == minor(after):
        return
    removed = removed_apis(kube.text("/metrics"), after)
    if removed:
        raise UsageError(
            f"refusing to upgrade {plex} without -y: clients have used APIs that Kubernetes"
            f" {after} does not have",
            details=[
                f"{one.resource} of {one.version}: removed in {one.removed}" for one in removed
            ],
            hint="let these clients use later versions of the APIs; the API server counts since its"
            " start, so -y goes on if they do already",
        )


def require_replaceable(kube: Kube, workers: Sequence[str], *, lose_pods: bool) -> None:
    """UsageError if pods without a controller are on workers that are drained later."""
    if lose_pods:
        return
    chosen = frozenset(workers)
    refuse_to_lose_pods(kube, [one for one in kube.nodes() if one.name in chosen])


def _require_ready(plex: Plex, found: Sequence[NodeStatus]) -> None:
    known = {one.name: one for one in found}
    late = [
        f"{node.name}: {known[node.name].message if node.name in known else 'not registered'}"
        for node in nodes(plex)
        if node.name not in known or not known[node.name].ready
    ]
    if late:
        raise UsageError(
            f"refusing to upgrade {plex.name}: nodes are not Ready",
            details=late,
            hint=f"`plexctl status {plex.name}` shows what is wrong",
        )


def _require_networks(plex: Plex, kube: Kube) -> None:
    """The networks of pods and services, and the domain, are in every node and in etcd."""
    networking = _configuration(kube).get("networking", {})
    wanted = {
        "podSubnet": str(plex.networks.pods),
        "serviceSubnet": str(plex.networks.services),
        "dnsDomain": plex.domain,
    }
    other = list(_other(networking, wanted))
    if other:
        raise UsageError(
            f"refusing to upgrade {plex.name}: a cluster cannot change its networks or its domain",
            details=other,
            hint=f"put them back in {plex.file}, or begin a new cluster:"
            f" `plexctl up {plex.name} -y`",
        )


def _configuration(kube: Kube) -> Mapping[str, Any]:
    """kubeadm's ClusterConfiguration in the cluster; empty if it has none."""
    data = (kube.read(KUBEADM_CONFIG) or {}).get("data", {})
    try:
        found = yaml.safe_load(data.get("ClusterConfiguration", "{}"))
    except yaml.YAMLError as error:
        raise PlexError(f"kubeadm-config in kube-system is not YAML: {error}") from error
    return found if isinstance(found, dict) else {}


def _other(networking: Mapping[str, Any], wanted: Mapping[str, str]) -> Iterator[str]:
    for field, value in wanted.items():
        there = networking.get(field)
        if there is not None and there != value:
            yield f"{NETWORKING[field]}: the cluster has {json.dumps(there)}, the file {value}"


def _require_etcd(ctx: Context, plex: Plex) -> None:
    chosen = masters(plex)
    wrong = list(faults(Etcd(plex.name, chosen, ctx.hosts).members(), chosen))
    if wrong:
        raise UsageError(
            f"refusing to upgrade {plex.name}: etcd is not healthy",
            details=wrong,
            hint=f"`plexctl status {plex.name}` shows its members",
        )
