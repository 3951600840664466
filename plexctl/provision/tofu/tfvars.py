"""What OpenTofu's modules read: the resources of a plex as terraform.tfvars.json. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plexctl.model.hosts import HostSpec
from plexctl.model.observed import HostState, ObservedInstance, Tagged
from plexctl.model.settings import Devices
from plexctl.model.types import Form
from plexctl.plan.resources.machines import SEED, seed_volume
from plexctl.plan.resources.types import Instance, Network, Profile, Resource, Volume
from plexctl.provision.diff import find, kind_of
from plexctl.provision.engine import Action, Change
from plexctl.provision.tags import tagged, tags

NEW = (Action.CREATE, Action.REPLACE, Action.UPDATE)

MODULE = "module.incus"

TYPES = {
    "network": f"{MODULE}.incus_network.network",
    "profile": f"{MODULE}.incus_profile.profile",
    "volume": f"{MODULE}.incus_storage_volume.volume",
}
SEEDS = f"{MODULE}.incus_storage_volume.seed"
CONTENT = f"{MODULE}.terraform_data.content"

WAIT = {"environment.PLEX_BOOT": "wait"}
"""The provider writes a node's files once it runs: its first unit waits for them."""


def tfvars(
    plex: str,
    resources: Sequence[Resource],
    hosts: Mapping[str, HostSpec],
    given: Mapping[str, Mapping[str, str]],
    *,
    boot: Path,
    config_dir: Path | None,
) -> dict[str, Any]:
    """The variables of `terraform/incus`.

    `hosts` are those that have, or had, any of `resources`. `given` has each resource's tags by
    its key; `boot` is the folder with the nodes' files, `config_dir` that with what is shown to
    servers over HTTPS.
    """
    return {
        "plex": plex,
        "config_dir": str(config_dir) if config_dir else None,
        "hosts": {name: {"address": _address(host)} for name, host in sorted(hosts.items())},
        "networks": {
            _key(r): {"host": r.host, "name": r.name, "config": _config(r, given)}
            for r in resources
            if isinstance(r, Network)
        },
        "profiles": {
            _key(r): {
                "host": r.host,
                "name": r.name,
                "config": {**_config(r, given), **WAIT},
                "devices": _devices(r.devices),
                "network": _key_of(r.needs, "network"),
            }
            for r in resources
            if isinstance(r, Profile)
        },
        "volumes": {
            _key(r): {
                "host": r.host,
                "name": r.name,
                "pool": r.pool,
                "type": "custom",
                "content_type": "filesystem",
                "source": None,
                "config": _config(r, given),
            }
            for r in resources
            if isinstance(r, Volume)
        }
        | {
            _seed_key(r): _seed(r, boot)
            for r in resources
            if isinstance(r, Instance) and has_seed(r)
        },
        "instances": {
            r.name: _instance(r, given, boot) for r in resources if isinstance(r, Instance)
        },
    }


def tags_of(
    resources: Sequence[Resource],
    changes: Sequence[Change],
    states: Mapping[str, HostState],
    run: str,
) -> dict[str, dict[str, str]]:
    """The tags of each resource by its key: new ones where it changes, else those that it has.

    So a run that changes nothing gives OpenTofu nothing to change.
    """
    changed = {change.key: change for change in changes}
    found = {}
    for resource in resources:
        change = changed.get(resource.key)
        seen = find(resource, states[resource.host])
        if seen is not None and (change is None or change.action not in NEW):
            found[resource.key] = dict(seen.tags)
            continue
        of_instance = isinstance(resource, Instance) and resource.parent
        parent = (change.parent_run if change else None) or run
        found[resource.key] = tags(resource, run, parent if of_instance else None)
    return found


def address(resource: Resource) -> str:
    """Where OpenTofu keeps the object."""
    if isinstance(resource, Instance):
        role = "worker" if resource.parent else "master"
        return f'{MODULE}.incus_instance.{role}["{resource.name}"]'
    return f'{TYPES[kind_of(resource)]}["{_key(resource)}"]'


def triggers(instance: Instance) -> tuple[str, ...]:
    """What decides whether OpenTofu makes an instance, or its seed, anew."""
    found = [f'{MODULE}.terraform_data.generation["{instance.name}"]']
    if instance.parent:
        found.append(f'{MODULE}.terraform_data.lineage["{instance.name}"]')
    if has_seed(instance):
        found.append(f'{CONTENT}["{_seed_key(instance)}"]')
    return tuple(found)


def addresses(resources: Iterable[Resource]) -> frozenset[str]:
    """All that OpenTofu keeps for them."""
    return frozenset(one for resource in resources for one in _addresses(resource))


def _addresses(resource: Resource) -> Iterator[str]:
    yield address(resource)
    if isinstance(resource, Instance):
        yield from triggers(resource)
    if isinstance(resource, Instance) and has_seed(resource):
        yield seed_address(resource)


def imports(
    resource: Resource, known: frozenset[str], state: HostState
) -> Iterator[dict[str, str]]:
    """Import blocks of an object that exists, as far as its addresses are not `known`."""
    if address(resource) not in known:
        yield {"to": address(resource), "id": _import_id(resource)}
    if isinstance(resource, Instance) and has_seed(resource):
        seed = seed_volume(resource.name)
        if seed_address(resource) not in known and seed in state.volumes:
            found = f"{resource.host}:/{_seed_pool(resource)}/{seed}"
            yield {"to": seed_address(resource), "id": found}


def _import_id(resource: Resource) -> str:
    if isinstance(resource, Volume):
        return f"{resource.host}:/{resource.pool}/{resource.name}"
    image = f",image={resource.image}" if isinstance(resource, Instance) else ""
    return f"{resource.host}:{resource.name}{image}"


def seed_address(instance: Instance) -> str:
    """Where OpenTofu keeps the volume that a VM finds its files on."""
    return f'{SEEDS}["{_seed_key(instance)}"]'


def has_seed(instance: Instance) -> bool:
    """Whether it is a VM: it finds its files on a volume, of which they are the content."""
    return instance.form is Form.VM


def boot_file(instance: Instance, boot: Path) -> Path:
    """Where OpenTofu finds what a node boots with, in the folder `boot`.

    A seed has another name if it has another content: that is how OpenTofu knows.
    """
    if has_seed(instance):
        digest = hashlib.sha256(instance.boot).hexdigest()[:16]
        return boot / f"{instance.name}-{digest}.iso"
    return boot / f"{instance.name}.tar"


def _seed(instance: Instance, boot: Path) -> dict[str, Any]:
    """Its volume. The provider takes no tags for such a one: it is known by its name."""
    return {
        "host": instance.host,
        "name": seed_volume(instance.name),
        "pool": _seed_pool(instance),
        "type": "custom",
        "content_type": "iso",
        "source": str(boot_file(instance, boot)),
        "config": {},
    }


def _seed_key(instance: Instance) -> str:
    return f"{instance.host}/{seed_volume(instance.name)}"


def _seed_pool(instance: Instance) -> str:
    return dict(dict(instance.devices)[SEED])["pool"]


def whole(seen: Tagged | None) -> bool:
    """Whether an object can be taken over: an instance that never ran is half made."""
    return seen is not None and not (isinstance(seen, ObservedInstance) and not seen.started)


def _instance(
    instance: Instance, given: Mapping[str, Mapping[str, str]], boot: Path
) -> dict[str, Any]:
    own = given[instance.key]
    return {
        "host": instance.host,
        "form": "virtual-machine" if instance.form is Form.VM else "container",
        "image": instance.image,
        "profile": f"{instance.host}/{instance.profile}",
        "config": _config(instance, given),
        "devices": _devices(instance.devices),
        "boot": None if has_seed(instance) else str(boot_file(instance, boot)),
        "generation": own["run"],
        "parent": instance.parent.rsplit("/", 1)[1] if instance.parent else None,
        "running": True,
    }


def _config(
    resource: Network | Profile | Volume | Instance, given: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    return dict(tagged(resource.config, dict(given[resource.key])))


def _devices(devices: Devices) -> dict[str, dict[str, str]]:
    return {name: dict(device) for name, device in devices}


def _key(resource: Resource) -> str:
    return f"{resource.host}/{resource.name}"


def _key_of(needs: Sequence[str], kind: str) -> str | None:
    return next((n.removeprefix(f"{kind}/") for n in needs if n.startswith(f"{kind}/")), None)


def _address(host: HostSpec) -> str:
    return host.url or f"unix://{host.socket}"
