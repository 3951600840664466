"""The seed volumes of VMs on Incus hosts: each has the files of one VM, and its lifetime."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from plexctl.model.observed import HostState, ObservedVolume
from plexctl.model.resources import Key, Kind
from plexctl.model.settings import SEED
from plexctl.model.types import Form
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import Instance, Owner, Resource
from plexctl.provision.change import Action, Change


def permanent(volumes: Mapping[str, ObservedVolume]) -> dict[str, ObservedVolume]:
    """The volumes that outlive their instances: all but seeds."""
    return {name: volume for name, volume in volumes.items() if SEED not in volume.tags}


def unwanted_seeds(
    resources: Sequence[Resource], states: Mapping[str, HostState], owner: Owner
) -> Iterator[Change]:
    """Deletions of seeds whose VM is not in the plan. They hold keys, so no option keeps them."""
    wanted = {seed for one in resources if (seed := seed_key(one))}
    for host, state in states.items():
        for name, volume in state.volumes.items():
            key = Key(Kind.VOLUME, host, name)
            if _is_seed_of(owner, name, volume) and key not in wanted:
                yield Change(Action.DELETE, key, "its VM is not in the plan", None)


def foreign_seeds(
    resources: Sequence[Resource], states: Mapping[str, HostState], owner: Owner
) -> Iterator[str]:
    """A line for each volume of another owner that has the name of a seed."""
    for one in resources:
        key = seed_key(one)
        volume = states[one.host].volumes.get(key.name) if key else None
        if key and volume is not None and not _is_seed_of(owner, key.name, volume):
            yield f"volume {key.name} on host {one.host} is not a seed of this plex"


def seed_key(resource: Resource) -> Key | None:
    """The seed volume of `resource`; None if it is not a VM of an Incus host."""
    if isinstance(resource, Instance) and has_seed(resource):
        return Key(Kind.VOLUME, resource.host, seed_volume(resource.name))
    return None


def has_seed(instance: Instance) -> bool:
    """Whether the instance finds its files on a seed volume: it is a VM of an Incus host."""
    return instance.form is Form.VM and isinstance(instance.spec, IncusSpec)


def seed_pool(instance: Instance) -> str:
    """The storage pool of the seed volume of a VM."""
    return dict(dict(instance.incus.devices)[SEED])["pool"]


def _is_seed_of(owner: Owner, name: str, volume: ObservedVolume) -> bool:
    """A seed with the owner's tags, or one that a crash left before it was tagged."""
    if volume.tags:
        return owner.owns(volume.tags) and SEED in volume.tags
    return volume.disc and bool(re.fullmatch(rf"{re.escape(owner.plex)}\d+-{SEED}", name))
