"""Plan a plex: compute the flat list of its resources. Pure: same inputs, same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from plexctl.model.nodes import nodes
from plexctl.model.plex import Node, Plex, Role
from plexctl.model.resources import Key, Kind
from plexctl.plan.inputs import Inputs, Join
from plexctl.plan.network.isolation import isolation
from plexctl.plan.network.links import sites
from plexctl.plan.resources.incus import kernel
from plexctl.plan.resources.platform import Placement, platform_of
from plexctl.plan.resources.types import Instance, Owner, Resource, boot_digest, digest


@dataclass(frozen=True, slots=True)
class Plan:
    """The desired state of a plex."""

    plex: Plex
    nodes: tuple[Node, ...]
    resources: tuple[Resource, ...]

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(r for r in self.resources if isinstance(r, Instance))


def plan_plex(plex: Plex, inputs: Inputs, known: Mapping[str, str] | None = None) -> Plan:
    """The resources of `plex`: ACLs, networks, profiles, instances, each after what it needs.

    `known` are the digests of the nodes' files from an earlier plan. With them this plan is only
    good to compare hosts with: it has the digests instead of the files.
    """
    members = nodes(plex)
    owner = Owner(inputs.seed.lab_id, plex.name)
    places = sites(plex, owner, inputs.hosts)
    networks = tuple(site.network for site in places.values() if site.network)
    acls = tuple(isolation(plex, owner, one) for one in networks)
    platforms = {name: platform_of(site.host.kind) for name, site in places.items()}
    facts = {node.name: kernel(node.type, inputs.facts[node.host]) for node in members}
    profiles = {
        (node.host, node.type.name): platforms[node.host].profile(
            owner, places[node.host], node.type, facts[node.name]
        )
        for node in members
    }
    if known is None:
        # Key generation takes long to import, and a plan that is only compared has no keys.
        from plexctl.plan.boot.archives import node_tars

        tars = node_tars(plex, members, inputs)
        boot = {n.name: platforms[n.host].boot(plex, n, tars[n.name].content) for n in members}
        known = {
            n.name: digest(platforms[n.host].boot(plex, n, tars[n.name].deciding))
            for n in members
            if tars[n.name].deciding != tars[n.name].content
        }
    else:
        boot = dict.fromkeys((node.name for node in members), b"")
    master = Key(Kind.INSTANCE, members[0].host, members[0].name)
    instances = [
        platforms[node.host].instance(
            Placement(
                plex,
                node,
                places[node.host],
                owner,
                facts[node.name],
                inputs.baked[node.host, node.type.name],
                boot[node.name],
                master if node.role is Role.WORKER else None,
            )
        )
        for node in members
    ]
    masters = {node.name for node in members if node.role is Role.MASTER}
    instances = [
        replace(
            one, known=known.get(one.name, ""), masters=plex.masters if one.name in masters else 0
        )
        for one in instances
    ]
    shared = (profile for profile in profiles.values() if profile)
    return Plan(plex, members, (*acls, *networks, *shared, *instances))


def joining(plan: Plan, name: str, inputs: Inputs, join: Join) -> Instance:
    """The instance `name` of `plan`, a master, with files to join a cluster that runs.

    Nothing else of the instance differs, nor its hash.
    """
    return _with_files(plan, name, replace(inputs, joins={name: join}))


def continuing(plan: Plan, name: str, inputs: Inputs) -> Instance:
    """The instance `name` of `plan`, the only master, with files to go on with `inputs.etcd`."""
    assert inputs.etcd is not None, name
    return _with_files(plan, name, inputs)


def _with_files(plan: Plan, name: str, inputs: Inputs) -> Instance:
    """The instance `name` of `plan` with the files of `inputs`, and the hash that it has anyway."""
    from plexctl.plan.boot.archives import node_tars

    node = next(one for one in plan.nodes if one.name == name)
    instance = next(one for one in plan.instances if one.name == name)
    tar = node_tars(plan.plex, (node,), inputs)[name]
    boot = platform_of(inputs.hosts[node.host].kind).boot(plan.plex, node, tar.content)
    return replace(instance, boot=boot, known=boot_digest(instance))
