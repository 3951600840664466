"""What OpenTofu's modules read: the resources of a plex as terraform.tfvars.json. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plexctl.model.hosts import Host
from plexctl.model.observed import HostState, SeenInstance, Tagged
from plexctl.plan.resources import Devices, Instance, Network, Profile, Resource, Volume
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

WAIT = {"environment.PLEX_BOOT": "wait"}
"""The provider writes a node's files once it runs: its first unit waits for them."""


def tfvars(
    plex: str,
    resources: Sequence[Resource],
    hosts: Mapping[str, Host],
    given: Mapping[str, Mapping[str, str]],
    *,
    boot: Path,
    config_dir: Path | None,
) -> dict[str, Any]:
    """The variables of `terraform/incus`.

    `given` has each resource's tags by its key; `boot` is the folder with the nodes' tars,
    `config_dir` that with what is shown to servers over HTTPS.
    """
    used = {resource.host for resource in resources}
    return {
        "plex": plex,
        "config_dir": str(config_dir) if config_dir else None,
        "hosts": {name: {"address": _address(hosts[name])} for name in sorted(used)},
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
    """What decides whether OpenTofu makes an instance anew."""
    found = [f'{MODULE}.terraform_data.generation["{instance.name}"]']
    if instance.parent:
        found.append(f'{MODULE}.terraform_data.lineage["{instance.name}"]')
    return tuple(found)


def import_id(resource: Resource) -> str:
    """By which the provider finds an object that exists."""
    if isinstance(resource, Volume):
        return f"{resource.host}:/{resource.pool}/{resource.name}"
    image = f",image={resource.image}" if isinstance(resource, Instance) else ""
    return f"{resource.host}:{resource.name}{image}"


def whole(seen: Tagged | None) -> bool:
    """Whether an object can be taken over: an instance that never ran is half made."""
    return seen is not None and not (isinstance(seen, SeenInstance) and not seen.started)


def _instance(
    instance: Instance, given: Mapping[str, Mapping[str, str]], boot: Path
) -> dict[str, Any]:
    own = given[instance.key]
    return {
        "host": instance.host,
        "form": "container" if instance.form == "container" else "virtual-machine",
        "image": instance.image,
        "profile": f"{instance.host}/{instance.profile}",
        "config": _config(instance, given),
        "devices": _devices(instance.devices),
        "boot": str(boot / f"{instance.name}.tar"),
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


def _address(host: Host) -> str:
    return host.url or f"unix://{host.socket}"
