"""What etcd of a new cluster takes over from another one, instead of a recording. Pure.

Nodes, leaders and API servers of the new cluster register by themselves. What the snapshot says
about those of the earlier cluster is deleted before etcd starts.
"""

from __future__ import annotations

import json

from plexctl.model.nodes import masters
from plexctl.model.plex import Plex
from plexctl.plan.genesis.compose import TOKEN
from plexctl.plan.inputs import Birth, EtcdSnapshot
from plexctl.plan.kubernetes.static_pods import peer_url

SNAPSHOT = "/etc/plexctl/etcd.snapshot"
"""Where a master has the snapshot until its etcd starts."""

NODES = "/registry/minions/"
LEASES = "/registry/leases/"
ELECTIONS = ("kube-controller-manager", "kube-scheduler", "apiserver-")

GONE = (
    NODES,
    f"{LEASES}kube-node-lease/",
    *(f"{LEASES}kube-system/{name}" for name in ELECTIONS),
    "/registry/masterleases/",
)
"""Prefixes of keys that are true of the earlier cluster only."""


def restore_file(plex: Plex, snapshot: EtcdSnapshot, birth: Birth | None) -> bytes:
    """The input of the program `genesis`: the members of etcd, and the snapshot."""
    token = f"{plex.name}-{birth.run}" if birth else TOKEN
    content = {
        "version": 1,
        "cluster": {
            "token": token,
            "members": [{"name": one.name, "peer": peer_url(one)} for one in masters(plex)],
        },
        "snapshot": {
            "file": SNAPSHOT,
            "continues": snapshot.continues,
            "drop": [] if snapshot.continues else GONE,
            "keep": [f"{NODES}{name}" for name in snapshot.nodes],
        },
    }
    return json.dumps(content).encode()
