"""Nodes on Proxmox hosts: VMs or containers, each of which is one resource."""

from __future__ import annotations

from plexctl.model.plex import Node, Plex
from plexctl.model.settings import settings
from plexctl.model.types import Form
from plexctl.plan.boot.cloudinit import meta_data, network_config, user_data
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.network.links import Site
from plexctl.plan.resources.types import Instance, Owner

CORES = 2
MEMORY = 2 << 30
"""Bytes. A VM has no more than it is given: where nothing is said, what kubeadm wants at least."""

PCI = "pci."
"""Prefix of the settings with names of PCI mappings: "pci.0"."""

USER_DATA, NETWORK_CONFIG, META_DATA = "user-data", "network-config", "meta-data"


def proxmox_machine(
    plex: Plex,
    node: Node,
    site: Site,
    owner: Owner,
    *,
    image: str,
    boot: bytes,
    parent: str | None,
) -> Instance:
    """The machine of `node`. Its settings are cores, memory (MiB), disk (MiB), mac, bridge and
    vlan; of a VM also pci.0 and on, and what cloud-init is told; of a container whether it is
    privileged. There is a disk, a vlan or a pci only if one is asked for, and so it is with the
    cores of a container.
    """
    host, size, form = site.host, node.size, node.type.base.form
    config = {
        "memory": str(_mebibytes(size.memory or MEMORY)),
        "mac": node.mac,
        "bridge": site.nic["bridge"],
    }
    if form is Form.VM:
        config |= {
            "cores": str(size.cpu or CORES),
            USER_DATA: user_data(),
            NETWORK_CONFIG: network_config(plex, node),
            META_DATA: meta_data(node.name),
        }
    else:
        config["privileged"] = "yes" if node.type.privileged else "no"
        if size.cpu is not None:
            config["cores"] = str(size.cpu)
    if "vlan" in site.nic:
        config["vlan"] = site.nic["vlan"]
    if size.disk is not None:
        config["disk"] = str(_mebibytes(size.disk))
    for number, device in enumerate(node.type.pci):
        config[f"{PCI}{number}"] = host.pci[device]
    return Instance(
        node.name,
        host.name,
        owner,
        form,
        image,
        profile="",
        config=settings(config),
        devices=(),
        boot=boot,
        parent=parent,
    )


def seed_of(vm: Instance) -> bytes:
    """The disk that a VM finds its files on; it holds keys."""
    config = dict(vm.config)
    return seed_iso(vm.boot, config[USER_DATA], config[NETWORK_CONFIG], config[META_DATA])


def seed_name(vm: Instance) -> str:
    """File name of that disk on a storage, which hosts and labs may share."""
    return f"plex-seed-{vm.owner.lab}-{vm.name}.iso"


def pci_mappings(vm: Instance) -> tuple[str, ...]:
    """Names of the PCI mappings that a VM has, in their order."""
    found = {int(key.removeprefix(PCI)): v for key, v in vm.config if key.startswith(PCI)}
    return tuple(found[number] for number in sorted(found))


def _mebibytes(size: int) -> int:
    return -(-size >> 20)
