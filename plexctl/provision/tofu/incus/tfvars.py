"""The resources of a plex on Incus hosts as variables of `terraform/incus`. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plexctl.model.host_spec import HostSpec
from plexctl.model.resources import Key, Kind
from plexctl.model.settings import Devices, Settings
from plexctl.model.types import Form
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.types import Acl, Instance, Network, Profile, Resource, Volume
from plexctl.provision.seeds import has_seed, seed_pool
from plexctl.provision.tags import tagged
from plexctl.provision.tofu.incus.addresses import map_key, seed_map_key
from plexctl.provision.tofu.tags import Tags

WAIT_FOR_BOOT_FILES = {"environment.PLEX_BOOT": "wait"}
"""The provider writes a node's files after its start: the node's first unit waits for them."""


def incus_tfvars(
    plex: str,
    resources: Sequence[Resource],
    hosts: Mapping[str, HostSpec],
    tags: Tags,
    *,
    boot: Path,
    config_dir: Path | None,
) -> dict[str, Any]:
    """The variables of `terraform/incus`.

    `hosts` are those with objects that are wanted or deleted; `boot` is the folder with the
    nodes' files, `config_dir` the one with client certificates and those of the servers.
    """
    return {
        "plex": plex,
        "config_dir": str(config_dir) if config_dir else None,
        "hosts": {name: {"address": _address(host)} for name, host in sorted(hosts.items())},
        "acls": {
            map_key(r.key): {
                "host": r.host,
                "name": r.name,
                "ingress": [dict(rule) for rule in r.ingress],
                "egress": [dict(rule) for rule in r.egress],
                "config": _config(r.key, (), tags),
            }
            for r in resources
            if isinstance(r, Acl)
        },
        "networks": {
            map_key(r.key): {
                "host": r.host,
                "name": r.name,
                "config": _config(r.key, r.config, tags),
            }
            for r in resources
            if isinstance(r, Network)
        },
        "profiles": {
            map_key(r.key): {
                "host": r.host,
                "name": r.name,
                "config": {**_config(r.key, r.config, tags), **WAIT_FOR_BOOT_FILES},
                "devices": _devices(r.devices),
                "network": next((map_key(k) for k in r.needs if k.kind is Kind.NETWORK), None),
            }
            for r in resources
            if isinstance(r, Profile)
        },
        "volumes": {
            map_key(r.key): {
                "host": r.host,
                "name": r.name,
                "pool": r.pool,
                "type": "custom",
                "content_type": "filesystem",
                "source": None,
                "config": _config(r.key, r.config, tags),
            }
            for r in resources
            if isinstance(r, Volume)
        }
        | {
            seed_map_key(r): _seed(r, boot)
            for r in resources
            if isinstance(r, Instance) and has_seed(r)
        },
        "instances": {
            r.name: _instance(r, tags, boot) for r in resources if isinstance(r, Instance)
        },
    }


def boot_file(instance: Instance, boot: Path) -> Path:
    """The path of a node's files in the folder `boot`.

    The name of a seed changes with its content: OpenTofu only compares names.
    """
    if has_seed(instance):
        digest = hashlib.sha256(instance.boot).hexdigest()[:16]
        return boot / f"{instance.name}-{digest}.iso"
    return boot / f"{instance.name}.tar"


def _seed(instance: Instance, boot: Path) -> dict[str, Any]:
    """The seed volume of a VM. The provider sets no tags on an ISO volume: its name is enough."""
    return {
        "host": instance.host,
        "name": seed_volume(instance.name),
        "pool": seed_pool(instance),
        "type": "custom",
        "content_type": "iso",
        "source": str(boot_file(instance, boot)),
        "config": {},
    }


def _instance(instance: Instance, tags: Tags, boot: Path) -> dict[str, Any]:
    spec = instance.incus
    return {
        "host": instance.host,
        "form": "virtual-machine" if instance.form is Form.VM else "container",
        "image": instance.image,
        "profile": f"{instance.host}/{spec.profile}",
        "config": _config(instance.key, spec.config, tags),
        "devices": _devices(spec.devices),
        "boot": None if has_seed(instance) else str(boot_file(instance, boot)),
        "generation": tags[instance.key]["run"],
        "parent": instance.parent.name if instance.parent else None,
        "running": True,
    }


def _config(key: Key, config: Settings, tags: Tags) -> dict[str, str]:
    return dict(tagged(config, tags[key]))


def _devices(devices: Devices) -> dict[str, dict[str, str]]:
    return {name: dict(device) for name, device in devices}


def _address(host: HostSpec) -> str:
    return host.url or f"unix://{host.socket}"
