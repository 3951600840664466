"""Addresses in OpenTofu's state of the objects of a plex on Incus hosts, and their imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from plexctl.model.observed import HostState
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.types import Instance, Resource, Volume
from plexctl.provision.seeds import has_seed, seed_pool
from plexctl.provision.tofu.provider import ImportBlock

MODULE = "module.incus"

TYPES = {
    Kind.NETWORK: f"{MODULE}.incus_network.network",
    Kind.ACL: f"{MODULE}.incus_network_acl.acl",
    Kind.PROFILE: f"{MODULE}.incus_profile.profile",
    Kind.VOLUME: f"{MODULE}.incus_storage_volume.volume",
}
SEEDS = f"{MODULE}.incus_storage_volume.seed"
CONTENT = f"{MODULE}.terraform_data.content"


def map_key(key: Key) -> str:
    """The key of an object in the maps of variables and of the state: "local/plex-demo"."""
    return f"{key.host}/{key.name}"


def seed_map_key(instance: Instance) -> str:
    return f"{instance.host}/{seed_volume(instance.name)}"


def address(resource: Resource) -> str:
    """The address of the object itself."""
    if isinstance(resource, Instance):
        role = "worker" if resource.parent else "master"
        return f'{MODULE}.module.{role}.incus_instance.node["{resource.name}"]'
    return f'{TYPES[resource.kind]}["{map_key(resource.key)}"]'


def seed_address(instance: Instance) -> str:
    """The address of the seed volume of a VM."""
    return f'{SEEDS}["{seed_map_key(instance)}"]'


def replace_triggers(instance: Instance) -> tuple[str, ...]:
    """Addresses of the objects whose change replaces an instance or its seed."""
    found = [f'{MODULE}.module.master.terraform_data.generation["{instance.name}"]']
    if instance.parent:
        found.append(f'{MODULE}.module.worker.terraform_data.generation["{instance.name}"]')
    if has_seed(instance):
        found.append(f'{CONTENT}["{seed_map_key(instance)}"]')
    return tuple(found)


def addresses(resources: Iterable[Resource]) -> frozenset[str]:
    """All addresses that belong to `resources`."""
    return frozenset(one for resource in resources for one in _addresses(resource))


def import_blocks(
    resource: Resource, known: frozenset[str], state: HostState
) -> Iterator[ImportBlock]:
    """Import blocks of an object that exists, without addresses that are `known`."""
    if address(resource) not in known:
        yield {"to": address(resource), "id": _import_id(resource)}
    if isinstance(resource, Instance) and has_seed(resource):
        seed = seed_volume(resource.name)
        if seed_address(resource) not in known and seed in state.volumes:
            found = f"{resource.host}:/{seed_pool(resource)}/{seed}"
            yield {"to": seed_address(resource), "id": found}


def _addresses(resource: Resource) -> Iterator[str]:
    yield address(resource)
    if isinstance(resource, Instance):
        yield from replace_triggers(resource)
        if has_seed(resource):
            yield seed_address(resource)


def _import_id(resource: Resource) -> str:
    if isinstance(resource, Volume):
        return f"{resource.host}:/{resource.pool}/{resource.name}"
    image = f",image={resource.image}" if isinstance(resource, Instance) else ""
    return f"{resource.host}:{resource.name}{image}"
