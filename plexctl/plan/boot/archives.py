"""All files that the nodes of a plex boot with, packed."""

from __future__ import annotations

from plexctl.keys.lab import LabKeys
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Node, Plex
from plexctl.model.types import Form
from plexctl.plan.boot.cloudinit import meta_data, network_config, user_data
from plexctl.plan.boot.files import BootFile, pack
from plexctl.plan.boot.node import Keyring, boot_files
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.inputs import Inputs
from plexctl.plan.network.files import neighbours
from plexctl.plan.registry.mirrors import mirror_files
from plexctl.plan.resources.machines import kernel


def node_files(plex: Plex, members: tuple[Node, ...], inputs: Inputs) -> dict[str, bytes]:
    """What each node boots with, by its name: a tar, or of an Incus VM the disk that has it."""
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
        boot, incus = pack(files), inputs.hosts[node.host].kind is HostKind.INCUS
        vm = incus and node.type.base.form is Form.VM
        found[node.name] = _seed(plex, node, boot) if vm else boot
    return found


def _seed(plex: Plex, node: Node, boot: bytes) -> bytes:
    """The disk that a VM finds its files on."""
    return seed_iso(boot, user_data(), network_config(plex, node), meta_data(node.name))


def _mirrors(inputs: Inputs) -> tuple[BootFile, ...]:
    """The same files for all nodes; without a registry there are none."""
    if inputs.registry is None:
        return ()
    return mirror_files(inputs.registry, LabKeys.derive(inputs.seed).ca.pair.certificate)
