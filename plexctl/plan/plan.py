"""From a plex to the flat list of its resources. Pure: same inputs, same plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.hosts import Host, HostFacts
from plexctl.model.nodes import nodes
from plexctl.model.plex import Node, Plex, Role
from plexctl.model.types import NodeType
from plexctl.plan.boot import Keyring, boot_files
from plexctl.plan.files import pack
from plexctl.plan.network import neighbours
from plexctl.plan.profile import NIC, container_config, container_devices
from plexctl.plan.resources import (
    Instance,
    Network,
    Owner,
    Profile,
    Resource,
    devices,
    settings,
)

BRIDGE_PREFIX = "plex-"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made of besides the plex: the seed, and what hosts and depot have."""

    seed: RootSeed
    hosts: Mapping[str, Host]
    facts: Mapping[str, HostFacts]  # by host
    control_plane_images: Mapping[str, str]  # component -> reference
    baked: Mapping[tuple[str, str], str]  # (host, type) -> name of the image


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
    networks = {host: _network(plex, owner, host) for host in _unique(n.host for n in members)}
    profiles = {
        (node.host, node.type.name): _profile(
            owner,
            inputs.hosts[node.host],
            node.type,
            networks[node.host],
            inputs.facts[node.host],
        )
        for node in members
    }
    keys = Keyring(
        ClusterKeys.derive(inputs.seed, plex.name, plex.epoch),
        client_key(inputs.seed),
        {n.name: host_key(inputs.seed, plex.name, plex.epoch, n.name) for n in members},
    )
    others = neighbours(plex)
    instances: list[Instance] = []
    for node in members:
        profile = profiles[node.host, node.type.name]
        files = boot_files(
            plex, node, others, keys, inputs.facts[node.host], inputs.control_plane_images
        )
        instances.append(
            _instance(
                node,
                owner,
                profile,
                image=inputs.baked[node.host, node.type.name],
                pool=inputs.hosts[node.host].pool,
                facts=inputs.facts[node.host],
                boot=pack(files),
                parent=instances[0].key if node.role is Role.WORKER else None,
            )
        )
    return Plan(plex, members, (*networks.values(), *profiles.values(), *instances))


def network_name(plex: str) -> str:
    """Of the bridge; Linux allows 15 characters."""
    return f"{BRIDGE_PREFIX}{plex}"


def _network(plex: Plex, owner: Owner, host: str) -> Network:
    config = {
        "ipv4.address": str(plex.networks.gateway),
        "ipv4.nat": "true",
        # Nodes know their addresses; dnsmasq only answers names.
        "ipv4.dhcp": "false",
        "ipv6.address": "none",
    }
    return Network(network_name(plex.name), host, owner, settings(config))


def _profile(
    owner: Owner, host: Host, node_type: NodeType, network: Network, facts: HostFacts
) -> Profile:
    config = container_config(privileged=node_type.privileged, facts=facts)
    device = container_devices(
        network=network.name, pool=host.pool, privileged=node_type.privileged
    )
    return Profile(
        f"{network.name}-{node_type.name}",
        host.name,
        owner,
        settings(config),
        devices(device),
        needs=(network.key,),
    )


def _instance(
    node: Node,
    owner: Owner,
    profile: Profile,
    *,
    image: str,
    pool: str,
    facts: HostFacts,
    boot: bytes,
    parent: str | None,
) -> Instance:
    config: dict[str, str] = {}
    if node.size.cpu is not None and facts.cgroup == 1:
        # A set of processors, which `limits.cpu` is, kubelet could not hand on to its pods there.
        config["limits.cpu.allowance"] = f"{node.size.cpu * 100}ms/100ms"
    elif node.size.cpu is not None:
        config["limits.cpu"] = str(node.size.cpu)
    if node.size.memory is not None:
        config["limits.memory"] = str(node.size.memory)
    if node.role is Role.MASTER:
        # Workers that boot beside it must not keep the API from coming up.
        config["limits.cpu.priority"] = "10"
    else:
        config["limits.cpu.priority"] = "5"
    device = {NIC: {**dict(dict(profile.devices)[NIC]), "hwaddr": node.mac}}
    if node.size.disk is not None:
        device["root"] = {
            "type": "disk",
            "path": "/",
            "pool": pool,
            "size": str(node.size.disk),
        }
    return Instance(
        node.name,
        node.host,
        owner,
        node.type.base.form,
        image,
        profile.name,
        settings(config),
        devices(device),
        boot,
        needs=(profile.key,),
        parent=parent,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
