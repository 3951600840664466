"""The reference cluster, whose etcd is recorded once it has come to rest. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.host_spec import VM_FACTS
from plexctl.model.plex import ApiForward, JsonText, Networks, Plex
from plexctl.model.types import NodeType, Size
from plexctl.plan.kubernetes import coredns, kubeadm

FORM = 1
"""Part of every name. Increase it when `normal`, `record` or `holes` change what they make of the
same objects: all recordings are then made again."""

SLOTS = range(1, 16)
"""Networks of reference clusters on one host: 198.18.(16 * slot).0/20, reserved for benchmarks
(RFC 2544). Slot 0 has the network of bakes."""

DOMAIN = "recorder.example"


def reference_networks(used: Iterable[IPv4Network]) -> Networks:
    """Networks that overlap with nothing in `used`, and that no real network has."""
    taken = tuple(used)
    for slot in SLOTS:
        found = _networks(slot)
        own = (found.nodes, found.pods, found.services)
        if not any(one.overlaps(other) for one in own for other in taken):
            return found
    raise PlexError(
        f"the networks of all {len(SLOTS)} reference clusters are in use",
        hint="no network and no route of the host may overlap with one of them: 198.18.16.0/20, "
        "198.18.32.0/20, up to 198.18.240.0/20",
    )


def reference_plex(
    name: str,
    kubernetes: str,
    node_type: NodeType,
    host: str,
    networks: Networks,
    forward: ApiForward | None = None,
) -> Plex:
    """A master alone, with plexctl's own settings.

    Its name, domain and addresses occur nowhere else: wherever they are found in an object, the
    recording gets a hole. Its nodes need no device of the host, and have no limits: the environment
    of the API server depends on them.
    """
    none = JsonText("{}")
    return Plex(
        name=name,
        file=Path(name),
        kubernetes=kubernetes,
        host_order=(host,),
        type=replace(node_type, pci=(), size=Size()),
        workers=0,
        networks=networks,
        domain=DOMAIN,
        dns_replicas=1,
        epoch=1,
        groups=(),
        cluster=none,
        proxy=none,
        genesis=False,
        api_forward=forward,
    )


def recording_name(
    kubernetes: str,
    node_type: NodeType,
    components: Mapping[str, str],
    roles: Mapping[tuple[str, str], str],
) -> str:
    """The name of a recording: it changes with all that decides what is in etcd of a cluster.

    `components` are the keys of the depot's components of that version, by name, and `roles` the
    digests of the role's layers, both at least those of `node_type`. Layers of a GitOps engine, and
    all that is below the role (its base, the kernel), decide nothing.
    """
    plex = reference_plex("reference", kubernetes, node_type, "host", _networks(SLOTS[0]))
    layers = node_type.with_engine(None).layers
    content = [
        FORM,
        kubernetes,
        {name: components[name] for layer in layers for name in layer.artifacts},
        [roles[node_type.role, layer.name] for layer in layers],
        kubeadm.init_configuration(plex, VM_FACTS),
        kubeadm.kubelet_configuration(plex, VM_FACTS),
        kubeadm.proxy_configuration(plex),
        coredns.patch(plex),
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"kubernetes-{kubernetes}-{digest[:16]}"


def _networks(slot: int) -> Networks:
    return Networks(
        nodes=IPv4Network(f"198.18.{16 * slot}.0/24"),
        services=IPv4Network(f"198.18.{16 * slot + 4}.0/22"),
        pods=IPv4Network(f"198.18.{16 * slot + 8}.0/21"),
    )
