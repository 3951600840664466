"""From a plex to the flat list of its resources. Pure: same inputs, same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.keys.lab import LabKeys
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.hosts import Host, HostFacts
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Node, Plex, Role
from plexctl.model.registry import Registry
from plexctl.model.types import Form
from plexctl.plan.boot import Keyring, boot_files
from plexctl.plan.cloudinit import meta_data, network_config, user_data
from plexctl.plan.files import BootFile, pack
from plexctl.plan.kubeadm import API_PORT
from plexctl.plan.links import sites
from plexctl.plan.machines import kernel, machine, machine_profile
from plexctl.plan.mirrors import mirror_files
from plexctl.plan.network import neighbours
from plexctl.plan.profile import shared_disk
from plexctl.plan.proxmox import proxmox_machine
from plexctl.plan.resources import Instance, Owner, Resource
from plexctl.plan.seed import seed_iso

WORKER_SHARE = 20
"""Percent of a processor that a worker has while others want all: what it leaves is its master's,
whose API everything waits for. With none that wants it, a worker may have all there is."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made of besides the plex: the seed, and what hosts and depot have."""

    seed: RootSeed
    hosts: Mapping[str, Host]
    facts: Mapping[str, HostFacts]  # by host
    control_plane_images: Mapping[str, str]  # component -> reference
    baked: Mapping[tuple[str, str], str]  # (host, type) -> name of the image
    registry: Registry | None = None  # the lab's, which nodes pull images through


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a plex will be."""

    plex: Plex
    nodes: tuple[Node, ...]
    resources: tuple[Resource, ...]

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(r for r in self.resources if isinstance(r, Instance))


def plan_plex(plex: Plex, inputs: Inputs) -> Plan:
    """The resources of `plex`: networks, profiles, instances, each after what it needs."""
    members = nodes(plex)
    owner = Owner(inputs.seed.lab_id, plex.name)
    places = sites(plex, owner, inputs.hosts)
    networks = tuple(site.network for site in places.values() if site.network)
    profiles = {
        (node.host, node.type.name): machine_profile(
            owner, places[node.host], node.type, kernel(node.type, inputs.facts[node.host])
        )
        for node in members
        if places[node.host].host.kind is HostKind.INCUS
    }
    keys = Keyring(
        ClusterKeys.derive(inputs.seed, plex.name, plex.epoch),
        client_key(inputs.seed),
        {n.name: host_key(inputs.seed, plex.name, plex.epoch, n.name) for n in members},
    )
    others = neighbours(plex)
    mirrors = _mirrors(inputs)
    instances: list[Instance] = []
    for node in members:
        place, image = places[node.host], inputs.baked[node.host, node.type.name]
        facts = kernel(node.type, inputs.facts[node.host])
        files = boot_files(plex, node, others, keys, facts, inputs.control_plane_images, mirrors)
        boot, parent = pack(files), instances[0].key if node.role is Role.WORKER else None
        if place.host.kind is HostKind.PROXMOX:
            vm = proxmox_machine(plex, node, place, owner, image=image, boot=boot, parent=parent)
            instances.append(vm)
            continue
        instances.append(
            machine(
                node.name,
                profiles[node.host, node.type.name],
                node.type,
                size=node.size,
                share=100 if node.role is Role.MASTER else WORKER_SHARE,
                mac=node.mac,
                image=image,
                pool=place.host.pool,
                facts=facts,
                boot=boot if node.type.base.form is Form.CONTAINER else _seed(plex, node, boot),
                parent=parent,
                disks={**_entrance(plex, node), **_shared(node, image, place.host.pool)},
                pci={name: place.host.pci[name] for name in node.type.pci},
            )
        )
    return Plan(plex, members, (*networks, *profiles.values(), *instances))


def _entrance(plex: Plex, node: Node) -> dict[str, dict[str, str]]:
    """What leads from the master's host to its API, where nobody outside reaches its network."""
    if plex.entrance is None or node.role is not Role.MASTER:
        return {}
    way = {
        "listen": f"tcp:0.0.0.0:{plex.entrance.port}",
        "connect": f"tcp:127.0.0.1:{API_PORT}",
    }
    return {"api": {"type": "proxy", **way}}


def _shared(node: Node, image: str, pool: str) -> dict[str, dict[str, str]]:
    return {"shared": shared_disk(image, pool)} if node.type.shares else {}


def _seed(plex: Plex, node: Node, boot: bytes) -> bytes:
    """The disk that a VM finds its files on."""
    return seed_iso(boot, user_data(), network_config(plex, node), meta_data(node.name))


def _mirrors(inputs: Inputs) -> tuple[BootFile, ...]:
    """The same files for all nodes; without a registry there are none."""
    if inputs.registry is None:
        return ()
    return mirror_files(inputs.registry, LabKeys.derive(inputs.seed).ca.pair.certificate)
