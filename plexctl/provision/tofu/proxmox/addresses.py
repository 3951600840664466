"""Addresses in OpenTofu's state of the VMs of a plex on Proxmox hosts, and their imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.plan.resources.proxmox import seed_name
from plexctl.plan.resources.types import Instance
from plexctl.provision.tofu.provider import ImportBlock

MODULE = "module.proxmox"
NODE_TYPE = "proxmox_virtual_environment_vm"
SEEDS = f"{MODULE}.module.master.proxmox_virtual_environment_file.seed"


def proxmox_of(host: HostSpec) -> Proxmox:
    """The settings that only a Proxmox host has."""
    assert host.proxmox is not None, host.name  # config.check requires them
    return host.proxmox


def address(vm: Instance) -> str:
    """The address of the VM itself."""
    role = "worker" if vm.parent else "master"
    return f'{MODULE}.module.{role}.{NODE_TYPE}.node["{vm.name}"]'


def seed_address(vm: Instance) -> str:
    return f'{SEEDS}["{vm.name}"]'


def replace_triggers(vm: Instance) -> tuple[str, ...]:
    """Addresses of the objects whose change replaces a VM."""
    found = [f'{MODULE}.module.master.terraform_data.generation["{vm.name}"]']
    if vm.parent:
        found.append(f'{MODULE}.module.worker.terraform_data.generation["{vm.name}"]')
    return tuple(found)


def addresses(vms: Iterable[Instance]) -> frozenset[str]:
    """All addresses that belong to `vms`."""
    return frozenset(
        one for vm in vms for one in (address(vm), seed_address(vm), *replace_triggers(vm))
    )


def import_blocks(
    vm: Instance, host: HostSpec, known: frozenset[str], vmid: int, volumes: Sequence[str]
) -> Iterator[ImportBlock]:
    """Import blocks of a VM that exists, without addresses that are `known`.

    `volumes` are those of the host's storage for seeds.
    """
    settings = proxmox_of(host)
    seed = f"{settings.iso}:iso/{seed_name(vm)}"
    if address(vm) not in known:
        yield {"to": address(vm), "id": f"{settings.node}/{vmid}"}
    if seed_address(vm) not in known and seed in volumes:
        yield {"to": seed_address(vm), "id": f"{settings.node}/{seed}"}
