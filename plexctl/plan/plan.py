"""From a plex to the flat list of its resources. Pure: same inputs, same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Node, Plex, Role
from plexctl.plan.inputs import Inputs
from plexctl.plan.kubernetes.kubeadm import API_PORT
from plexctl.plan.network.links import sites
from plexctl.plan.resources.machines import kernel, machine, machine_profile
from plexctl.plan.resources.profile import shared_disk
from plexctl.plan.resources.proxmox import proxmox_machine
from plexctl.plan.resources.types import Instance, Owner, Resource

WORKER_SHARE = 20
"""Percent of a processor that a worker has while others want all: what it leaves is its master's,
whose API everything waits for. With none that wants it, a worker may have all there is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a plex will be."""

    plex: Plex
    nodes: tuple[Node, ...]
    resources: tuple[Resource, ...]

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(r for r in self.resources if isinstance(r, Instance))


def plan_plex(plex: Plex, inputs: Inputs, known: Mapping[str, str] | None = None) -> Plan:
    """The resources of `plex`: networks, profiles, instances, each after what it needs.

    Where digests of the nodes' files are `known`, the plan is one to compare with: it has those
    digests instead of the files.
    """
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
    if known is None:
        # What makes keys takes long to load, and what only compares has no use for it.
        from plexctl.plan.boot.archives import node_files

        files = node_files(plex, members, inputs)
    else:
        files = {}
    instances: list[Instance] = []
    for node in members:
        place, image = places[node.host], inputs.baked[node.host, node.type.name]
        facts = kernel(node.type, inputs.facts[node.host])
        boot, parent = files.get(node.name, b""), None
        if node.role is Role.WORKER:
            parent = instances[0].key
        if place.host.kind is HostKind.PROXMOX:
            made = proxmox_machine(plex, node, place, owner, image=image, boot=boot, parent=parent)
        else:
            made = machine(
                node.name,
                profiles[node.host, node.type.name],
                node.type,
                size=node.size,
                share=100 if node.role is Role.MASTER else WORKER_SHARE,
                mac=node.mac,
                image=image,
                pool=place.host.pool,
                facts=facts,
                boot=boot,
                parent=parent,
                disks={**_api_forward(plex, node), **_shared(node, image, place.host.pool)},
                pci={name: place.host.pci[name] for name in node.type.pci},
            )
        instances.append(replace(made, known=known[node.name]) if known is not None else made)
    return Plan(plex, members, (*networks, *profiles.values(), *instances))


def _api_forward(plex: Plex, node: Node) -> dict[str, dict[str, str]]:
    """What leads from the master's host to its API, where nobody outside reaches its network."""
    if plex.api_forward is None or node.role is not Role.MASTER:
        return {}
    way = {
        "listen": f"tcp:0.0.0.0:{plex.api_forward.port}",
        "connect": f"tcp:127.0.0.1:{API_PORT}",
    }
    return {"api": {"type": "proxy", **way}}


def _shared(node: Node, image: str, pool: str) -> dict[str, dict[str, str]]:
    return {"shared": shared_disk(image, pool)} if node.type.shares else {}
