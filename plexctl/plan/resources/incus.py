"""Nodes on Incus hosts: the profile that nodes of one type share, and the instance itself."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.host_spec import VM_FACTS, HostFacts
from plexctl.model.resources import Key
from plexctl.model.settings import SEED, devices, settings
from plexctl.model.types import Form, NodeType, Size
from plexctl.plan.network.links import Site, network_name
from plexctl.plan.resources.profile import NIC, node_config, node_devices
from plexctl.plan.resources.proxmox import CORES, MEMORY
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import Instance, Owner, Profile


def seed_volume(instance: str) -> str:
    """Name of the volume with the files of the VM `instance`; it holds keys."""
    return f"{instance}-{SEED}"


def kernel(node_type: NodeType, host: HostFacts) -> HostFacts:
    """The facts of the kernel of a node: its host's, or for a VM its own."""
    return VM_FACTS if node_type.base.form is Form.VM else host


def machine_profile(owner: Owner, site: Site, node_type: NodeType, facts: HostFacts) -> Profile:
    base, privileged = node_type.base, node_type.privileged
    config = node_config(base.form, privileged=privileged, facts=facts)
    device = node_devices(base, nic=nic(site), pool=site.host.pool, privileged=privileged)
    return Profile(
        f"{network_name(owner.plex)}-{node_type.name}",
        site.host.name,
        owner,
        settings(config),
        devices(device),
        needs=(site.network.key,) if site.network else (),
    )


def nic(site: Site) -> dict[str, str]:
    """The network device of a node, without its address. It has the MTU of its bridge."""
    if site.network:
        return {"type": "nic", "network": site.bridge, "name": NIC}
    vlan = {"vlan": str(site.vlan)} if site.vlan else {}
    return {"type": "nic", "nictype": "bridged", "parent": site.bridge, "name": NIC, **vlan}


def machine(
    name: str,
    profile: Profile,
    node_type: NodeType,
    *,
    size: Size,
    share: int = 100,
    mac: str,
    image: str,
    pool: str,
    facts: HostFacts,
    boot: bytes,
    parent: Key | None = None,
    disks: Mapping[str, Mapping[str, str]] | None = None,
    pci: Mapping[str, str] | None = None,
    needs: tuple[Key, ...] = (),
) -> Instance:
    """The instance `name` on the profile's host, for its owner.

    `share` is the percentage of a processor that a container is guaranteed under load; `boot` is
    its tar, or the seed of a VM. `disks` are further devices, and `needs` the resources that they
    need; `pci` are addresses of PCI devices by name.
    """
    vm = node_type.base.form is Form.VM
    config = _vm_limits(size) if vm else _container_limits(size, share, facts)
    device = {NIC: {**dict(dict(profile.devices)[NIC]), "hwaddr": mac}, **(disks or {})}
    device |= _pci_devices(pci or {}, vm=vm)
    if vm:
        device[SEED] = {"type": "disk", "pool": pool, "source": seed_volume(name)}
    if size.disk is not None:
        device["root"] = {"type": "disk", "path": "/", "pool": pool, "size": str(size.disk)}
    return Instance(
        name,
        profile.host,
        profile.owner,
        node_type.base.form,
        image,
        IncusSpec(profile.name, settings(config), devices(device)),
        boot,
        needs=(profile.key, *needs),
        parent=parent,
    )


def _container_limits(size: Size, share: int, facts: HostFacts) -> dict[str, str]:
    config: dict[str, str] = {}
    if size.cpu is not None and facts.cgroup == 1:
        # `limits.cpu` is a set of processors, which kubelet could not pass on to its pods there.
        config["limits.cpu.allowance"] = f"{size.cpu * 100}ms/100ms"
    elif size.cpu is not None:
        config["limits.cpu"] = str(size.cpu)
    else:
        # A guarantee under load: on an idle host the container may use whole processors.
        config["limits.cpu.allowance"] = f"{share}%"
    if size.memory is not None:
        config["limits.memory"] = str(size.memory)
    return config


def _vm_limits(size: Size) -> dict[str, str]:
    """Limits of a VM, always set: the defaults of Incus, one processor and 1 GiB, are too low."""
    return {
        "limits.cpu": str(size.cpu or CORES),
        "limits.memory": str(size.memory or MEMORY),
    }


def _pci_devices(addresses: Mapping[str, str], *, vm: bool) -> dict[str, dict[str, str]]:
    """A VM gets the whole device and needs its driver; a container can only share a GPU."""
    found = {}
    for name, address in addresses.items():
        handed = {"type": "pci", "address": address} if vm else {"type": "gpu", "pci": address}
        found[f"pci-{name}"] = handed
    return found
