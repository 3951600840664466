"""The files that the nodes of a plex boot with, one tar a node."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from plexctl.keys.lab import LabKeys
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import Cni, ProvisionEngine
from plexctl.model.plex import Node, Plex, Role
from plexctl.plan.boot.files import BootFile, pack, private, text
from plexctl.plan.boot.node import Keyring, boot_files
from plexctl.plan.genesis.compose import TOKEN, compose, genesis_file, is_born_complete
from plexctl.plan.genesis.recording import Recording
from plexctl.plan.genesis.restored import SNAPSHOT, restore_file
from plexctl.plan.inputs import Birth, EtcdSnapshot, Inputs
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.quiet import quiet
from plexctl.plan.network.files import neighbours
from plexctl.plan.registry.mirrors import mirror_files
from plexctl.plan.resources.incus import kernel

GENESIS = "/etc/plexctl/genesis.json"
"""The input of the program `genesis` on a master."""


@dataclass(frozen=True, slots=True)
class NodeTar:
    """The tar of a node, and the tar that decides whether a running node must be replaced.

    They differ on a master: what etcd starts with, or joins, does not matter later.
    """

    content: bytes = field(repr=False)  # holds keys
    deciding: bytes = field(repr=False)


def node_tars(plex: Plex, members: tuple[Node, ...], inputs: Inputs) -> dict[str, NodeTar]:
    """The tar of each node, by its name."""
    keys = Keyring(
        ClusterKeys.derive(inputs.seed, plex.name, plex.epoch),
        client_key(inputs.seed),
        {n.name: host_key(inputs.seed, plex.name, plex.epoch, n.name) for n in members},
    )
    others, mirrors = neighbours(plex), _mirrors(inputs)
    recording = inputs.recording if is_born_complete(plex) else None
    birth: tuple[BootFile, ...] = ()  # of all masters: their databases are equal byte for byte
    found = {}
    for node in members:
        facts = kernel(node.type, inputs.facts[node.host])
        files = boot_files(plex, node, others, keys, facts, inputs.control_plane_images, mirrors)
        tar = content = pack(files)
        joins = inputs.joins.get(node.name)
        if node.role is Role.MASTER and joins:
            images, all_members = inputs.control_plane_images, joins.members
            files = boot_files(plex, node, others, keys, facts, images, mirrors, all_members)
            content = pack((*files, *joining_files(plex, node, hold=joins.hold)))
        elif node.role is Role.MASTER and inputs.etcd:
            content = pack((*files, *restored_files(plex, node, inputs.etcd, inputs.birth)))
        elif node.role is Role.MASTER and recording:
            # OpenTofu would write a changed file into the running node.
            born = (node,) if plex.engine is ProvisionEngine.TOFU else members
            birth = birth or genesis_files(plex, born, keys.cluster, facts, recording, inputs)
            content = pack((*files, *birth, mark(plex, node)))
        elif node.role is Role.MASTER and plex.masters > 1:
            own = joining_files(plex, node) if node.index > 1 else (mark(plex, node),)
            content = pack((*files, *own))
        found[node.name] = NodeTar(content, tar)
    return found


def genesis_files(
    plex: Plex,
    members: tuple[Node, ...],
    keys: ClusterKeys,
    facts: HostFacts,
    recording: Recording,
    inputs: Inputs,
) -> tuple[BootFile, ...]:
    """The files that a master's etcd is born from; with several masters, each has the same."""
    birth = inputs.birth
    token = f"{plex.name}-{birth.run}" if birth else TOKEN
    entries = compose(plex, members, keys, facts, recording, inputs.additions)
    content = genesis_file(plex, entries, token)
    return (private(GENESIS, content), *birth_files(birth))


def restored_files(
    plex: Plex, node: Node, snapshot: EtcdSnapshot, birth: Birth | None
) -> tuple[BootFile, ...]:
    """The files of a master whose etcd takes over a snapshot.

    kubeadm completes a cluster that does not continue, on its first master: the files of the plex
    may have changed since the snapshot. A cluster that continues has everything.
    """
    completes = not snapshot.continues and node.index == 1
    return (
        private(GENESIS, restore_file(plex, snapshot, birth)),
        private(SNAPSHOT, snapshot.content),
        text("/etc/plexctl/restored" if completes else "/etc/plexctl/join", ""),
        mark(plex, node),
        *birth_files(birth),
    )


def birth_files(birth: Birth | None) -> tuple[BootFile, ...]:
    """What the masters of a new cluster agree on; one alone finds it by itself."""
    if birth is None:
        return ()
    return (text("/etc/plexctl/birth", f"run={birth.run}\ntime={birth.time}\n"),)


def joining_files(plex: Plex, node: Node, *, hold: bool = False) -> tuple[BootFile, ...]:
    """The files of a master that takes the state of its cluster from other masters.

    With `hold` its controllers do not start by themselves.
    """
    return (text("/etc/plexctl/join", "hold\n" if hold else ""), mark(plex, node))


def mark(plex: Plex, node: Node) -> BootFile:
    """What a master adds to its node object, and what it has to know of the plex.

    That is where the API is if that can move, and whether DNS waits for a CNI plugin of the user.
    """
    content = kubeadm.control_plane_mark(node)
    if plex.cni is Cni.NONE:
        content["network"] = False
    if plex.masters > 1:
        content["endpoint"] = str(plex.networks.endpoint)
        content["quiet"] = quiet(plex)
    return text("/etc/plexctl/control-plane.json", json.dumps(content))


def _mirrors(inputs: Inputs) -> tuple[BootFile, ...]:
    """The files that point containerd to the lab's registry; none without one."""
    if inputs.registry is None:
        return ()
    return mirror_files(inputs.registry, LabKeys.derive(inputs.seed).ca.pair.certificate)
