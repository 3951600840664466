"""The VMs of a plex on Proxmox hosts as variables of `terraform/proxmox`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plexctl.clients.proxmox.observed import IMAGE, WHOLE, notes
from plexctl.model.host_spec import HostSpec
from plexctl.model.observed import HostState
from plexctl.plan.resources.proxmox import seed_name
from plexctl.plan.resources.types import Instance
from plexctl.provision.tofu.proxmox.addresses import proxmox_of
from plexctl.provision.tofu.tags import Tags


def proxmox_tfvars(
    plex: str,
    vms: Sequence[Instance],
    hosts: Mapping[str, HostSpec],
    tags: Tags,
    states: Mapping[str, HostState],
    *,
    seeds: Path,
) -> dict[str, Any]:
    """The variables of `terraform/proxmox`, except the one with the token's secret.

    `hosts` are those of `vms`, all of one cluster with one URL; `states` have the templates;
    `seeds` is the folder with the disks of `seed_of`.
    """
    first = next(iter(hosts.values()))
    return {
        "endpoint": first.url,
        "token": proxmox_of(first).token,
        "first_id": proxmox_of(first).first_id,
        "plex": plex,
        "hosts": {name: _host(host) for name, host in sorted(hosts.items())},
        "instances": {
            vm.name: _instance(vm, hosts[vm.host], tags[vm.key], states[vm.host], seeds)
            for vm in vms
        },
    }


def seed_file(vm: Instance, seeds: Path) -> Path:
    return seeds / f"{vm.name}.iso"


def _host(host: HostSpec) -> dict[str, Any]:
    found = proxmox_of(host)
    return {"node": found.node, "iso": found.iso, "pool": host.pool, "linked": found.linked}


def _instance(
    vm: Instance, host: HostSpec, tags: Mapping[str, str], state: HostState, seeds: Path
) -> dict[str, Any]:
    spec, image = vm.proxmox, state.image(vm.image)
    return {
        "host": vm.host,
        # Without a template there is only a preview: nothing is cloned.
        "template": int(image.fingerprint) if image else proxmox_of(host).first_id,
        "cores": spec.cores,
        "memory": spec.memory,
        "disk": _gibibytes((spec.disk or 0) << 20, image.size if image else 0),
        "mac": spec.mac,
        "bridge": spec.bridge,
        "vlan": spec.vlan,
        "pci": list(spec.pci),
        "description": notes({IMAGE: vm.image, **tags, WHOLE: "yes"}),
        "seed": str(seed_file(vm, seeds)),
        "seed_name": seed_name(vm),
        "generation": tags["run"],
        "parent": vm.parent.name if vm.parent else None,
        "running": True,
    }


def _gibibytes(disk: int, template: int) -> int | None:
    """The size of a disk, which is never below that of its template (both in bytes).

    It is written even where the plex file has no size: without it the provider would see the disk
    of an imported VM as a difference.
    """
    size = max(disk, template)
    return -(-size >> 30) if size else None
