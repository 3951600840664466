"""Nodes on Proxmox hosts: VMs or containers, each of which is one resource."""

from __future__ import annotations

from plexctl.model.lab_id import short
from plexctl.model.plex import Node, Plex
from plexctl.model.resources import Key
from plexctl.model.types import Form
from plexctl.plan.boot.cloudinit import meta_data, network_config, user_data
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.network.links import Site
from plexctl.plan.resources.specs import CloudInit, ProxmoxSpec
from plexctl.plan.resources.types import Instance, Owner

CORES = 2
MEMORY = 2 << 30
"""Bytes. A VM needs a fixed size: without one in the plex file it has what kubeadm requires."""


def proxmox_machine(
    plex: Plex,
    node: Node,
    site: Site,
    owner: Owner,
    *,
    image: str,
    boot: bytes,
    parent: Key | None,
) -> Instance:
    """The VM or container of `node`, a resource without any other."""
    size, vm = node.size, node.type.base.form is Form.VM
    spec = ProxmoxSpec(
        node.mac,
        site.bridge,
        _mebibytes(size.memory or MEMORY),
        cores=size.cpu or (CORES if vm else None),
        disk=None if size.disk is None else _mebibytes(size.disk),
        vlan=site.vlan,
        pci=tuple(site.host.pci[device] for device in node.type.pci),
        cloud_init=_cloud_init(plex, node) if vm else None,
        privileged=not vm and node.type.privileged,
    )
    form = node.type.base.form
    return Instance(node.name, site.host.name, owner, form, image, spec, boot, parent=parent)


def seed_of(vm: Instance) -> bytes:
    """The disk that a VM finds its files on; it holds keys."""
    found = vm.proxmox.cloud_init
    if found is None:
        raise TypeError(f"{vm.key} is a container, which has no seed")
    return seed_iso(vm.boot, found.user_data, found.network_config, found.meta_data)


def seed_name(vm: Instance) -> str:
    """File name of the seed on a storage, which hosts and labs may share."""
    return f"plex-seed-{short(vm.owner.lab)}-{vm.name}.iso"


def _cloud_init(plex: Plex, node: Node) -> CloudInit:
    return CloudInit(user_data(), network_config(plex, node), meta_data(node.name))


def _mebibytes(size: int) -> int:
    """Convert bytes to MiB, rounded up."""
    return -(-size >> 20)
