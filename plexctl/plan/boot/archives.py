"""The files that the nodes of a plex boot with, one tar a node."""

from __future__ import annotations

from plexctl.keys.lab import LabKeys
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile, pack
from plexctl.plan.boot.node import Keyring, boot_files
from plexctl.plan.inputs import Inputs
from plexctl.plan.network.files import neighbours
from plexctl.plan.registry.mirrors import mirror_files
from plexctl.plan.resources.incus import kernel


def node_files(plex: Plex, members: tuple[Node, ...], inputs: Inputs) -> dict[str, bytes]:
    """The tar of each node, by its name. It holds keys."""
    keys = Keyring(
        ClusterKeys.derive(inputs.seed, plex.name, plex.epoch),
        client_key(inputs.seed),
        {n.name: host_key(inputs.seed, plex.name, plex.epoch, n.name) for n in members},
    )
    others, mirrors = neighbours(plex), _mirrors(inputs)
    found = {}
    for node in members:
        facts = kernel(node.type, inputs.facts[node.host])
        files = boot_files(plex, node, others, keys, facts, inputs.control_plane_images, mirrors)
        found[node.name] = pack(files)
    return found


def _mirrors(inputs: Inputs) -> tuple[BootFile, ...]:
    """The files that point containerd to the lab's registry; none without one."""
    if inputs.registry is None:
        return ()
    return mirror_files(inputs.registry, LabKeys.derive(inputs.seed).ca.pair.certificate)
