"""The volumes that VMs of Incus hosts find their files on: each lives as long as its VM."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from plexctl.clients.incus.host import IncusHost
from plexctl.model.observed import HostState, ObservedVolume
from plexctl.model.settings import TAG, settings
from plexctl.model.types import Form
from plexctl.plan.resources.machines import SEED, seed_volume
from plexctl.plan.resources.types import Instance, Owner, Resource
from plexctl.provision.engine import Action, Change


def lasting(volumes: Mapping[str, ObservedVolume]) -> dict[str, ObservedVolume]:
    """Those that outlive the instances that have them."""
    return {name: seen for name, seen in volumes.items() if SEED not in seen.tags}


def unwanted_seeds(
    resources: Sequence[Resource], states: Mapping[str, HostState], owner: Owner
) -> Iterator[Change]:
    """Seeds whose VM is in no plan. They go whatever is asked of volumes: they hold keys."""
    wanted = {(one.host, seed) for one in resources if (seed := _seed_of(one))}
    for host, state in states.items():
        for name, seen in state.volumes.items():
            if _ours(name, seen, owner) and (host, name) not in wanted:
                yield Change(Action.DELETE, host, "volume", name, "its VM is not wanted", None)


def seeds_in_the_way(
    resources: Sequence[Resource], states: Mapping[str, HostState], owner: Owner
) -> Iterator[str]:
    """Volumes of others that have the name of a seed, as a user is told of them."""
    for one in resources:
        seed, state = _seed_of(one), states[one.host]
        seen = state.volumes.get(seed) if seed else None
        if seed and seen is not None and not _ours(seed, seen, owner):
            yield f"volume {seed} on host {one.host} is no seed of this plex"


def put_seed(incus: IncusHost, state: HostState, instance: Instance, run: str) -> None:
    """Have the seed of a VM on its host, right before the VM itself. The one before it goes."""
    name, owner = seed_volume(instance.name), instance.owner
    if name in state.volumes:
        incus.delete_volume(name)
    tags = {"lab": owner.lab, "plex": owner.plex, "run": run, SEED: instance.name}
    pool = dict(dict(instance.devices)[SEED])["pool"]
    config = settings({f"{TAG}{key}": value for key, value in tags.items()})
    incus.volumes.create_disc(name, pool, instance.boot, config)


def _seed_of(resource: Resource) -> str | None:
    """Name of the volume with the seed; a Proxmox host has none."""
    if isinstance(resource, Instance) and resource.form is Form.VM:
        return seed_volume(resource.name) if SEED in dict(resource.devices) else None
    return None


def _ours(name: str, seen: ObservedVolume, owner: Owner) -> bool:
    """A seed of the owner's, or one that was left before it had its tags."""
    if seen.tags:
        same = (seen.tags.get("lab"), seen.tags.get("plex")) == (owner.lab, owner.plex)
        return same and SEED in seen.tags
    return seen.disc and bool(re.fullmatch(rf"{re.escape(owner.plex)}\d+-{SEED}", name))
