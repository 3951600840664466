"""What the module proxmox-plex reads: the VMs of a plex as terraform.tfvars.json. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plexctl.clients.proxmox.observed import IMAGE, WHOLE, notes
from plexctl.model.hosts import HostSpec, Proxmox
from plexctl.model.observed import HostState
from plexctl.plan.resources.proxmox import pci_mappings, seed_name
from plexctl.plan.resources.types import Instance

ROOT = "proxmox"
"""The folder of the modules that is the root for a plex on Proxmox hosts."""

MODULE = "module.proxmox"
KIND = "proxmox_virtual_environment_vm"
SEEDS = f"{MODULE}.proxmox_virtual_environment_file.seed"


def proxmox_tfvars(
    plex: str,
    vms: Sequence[Instance],
    hosts: Mapping[str, HostSpec],
    given: Mapping[str, Mapping[str, str]],
    states: Mapping[str, HostState],
    *,
    seeds: Path,
) -> dict[str, Any]:
    """The variables of `terraform/proxmox`, but the one with the token's secret.

    `hosts` are those of `vms`, all of one cluster and asked at one URL. `given` has each VM's tags
    by its key; `states` know the templates; `seeds` is the folder with the disks of `seed_of`.
    """
    first = next(iter(hosts.values()))
    return {
        "endpoint": first.url,
        "token": settings(first).token,
        "first_id": settings(first).first_id,
        "plex": plex,
        "hosts": {name: _host(host) for name, host in sorted(hosts.items())},
        "instances": {
            vm.name: _instance(vm, hosts[vm.host], given[vm.key], states[vm.host], seeds)
            for vm in vms
        },
    }


def settings(host: HostSpec) -> Proxmox:
    assert host.proxmox is not None, host.name  # the configuration is checked for it
    return host.proxmox


def address(vm: Instance) -> str:
    """Where OpenTofu keeps a VM."""
    return f'{MODULE}.{KIND}.{"worker" if vm.parent else "master"}["{vm.name}"]'


def seed_address(vm: Instance) -> str:
    return f'{SEEDS}["{vm.name}"]'


def triggers(vm: Instance) -> tuple[str, ...]:
    """What decides whether OpenTofu makes a VM anew."""
    found = [f'{MODULE}.terraform_data.generation["{vm.name}"]']
    if vm.parent:
        found.append(f'{MODULE}.terraform_data.lineage["{vm.name}"]')
    return tuple(found)


def addresses(vms: Iterable[Instance]) -> frozenset[str]:
    """All that OpenTofu keeps for them."""
    return frozenset(one for vm in vms for one in (address(vm), seed_address(vm), *triggers(vm)))


def seed_file(vm: Instance, seeds: Path) -> Path:
    return seeds / f"{vm.name}.iso"


def seed_volume(vm: Instance, host: HostSpec) -> str:
    """The volume that a VM's seed is on its host."""
    return f"{settings(host).iso}:iso/{seed_name(vm)}"


def imports(
    vm: Instance, host: HostSpec, known: frozenset[str], vmid: int, volumes: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Import blocks of a VM that exists, as far as its addresses are not `known`.

    `volumes` are those of the host's storage for seeds.
    """
    node, seed = settings(host).node, seed_volume(vm, host)
    if address(vm) not in known:
        yield {"to": address(vm), "id": f"{node}/{vmid}"}
    if seed_address(vm) not in known and seed in volumes:
        yield {"to": seed_address(vm), "id": f"{node}/{seed}"}


def _host(host: HostSpec) -> dict[str, Any]:
    found = settings(host)
    return {"node": found.node, "iso": found.iso, "pool": host.pool, "linked": found.linked}


def _instance(
    vm: Instance, host: HostSpec, given: Mapping[str, str], state: HostState, seeds: Path
) -> dict[str, Any]:
    config, image = dict(vm.config), state.image(vm.image)
    return {
        "host": vm.host,
        # Without a template there is only a plan to look at: nothing is cloned.
        "template": int(image.fingerprint) if image else settings(host).first_id,
        "cores": int(config["cores"]),
        "memory": int(config["memory"]),
        "disk": _gibibytes(int(config.get("disk", 0)) << 20, image.size if image else 0),
        "mac": config["mac"],
        "bridge": config["bridge"],
        "vlan": int(config["vlan"]) if "vlan" in config else None,
        "pci": list(pci_mappings(vm)),
        "description": notes({IMAGE: vm.image, **given, WHOLE: "yes"}),
        "seed": str(seed_file(vm, seeds)),
        "seed_name": seed_name(vm),
        "generation": given["run"],
        "parent": vm.parent.rsplit("/", 1)[1] if vm.parent else None,
        "running": True,
    }


def _gibibytes(asked: int, template: int) -> int | None:
    """A disk is never below its template's. It is named even where nothing is asked for: the
    provider knows the disk of a VM that was taken over, and would miss it in the configuration.
    """
    size = max(asked, template)
    return -(-size >> 30) if size else None
