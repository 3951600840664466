"""Nodes on a Proxmox host: VMs or containers, on a bridge that exists."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Link, Plex
from plexctl.model.types import Form, NodeType, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.proxmox import seed_name, seed_of
from plexctl.plan.resources.specs import ProxmoxSpec
from plexctl.plan.resources.types import Instance, resource_hash

PVE = HostSpec(
    "local",
    HostKind.PROXMOX,
    "",
    "local-lvm",
    4,
    url="https://10.0.0.7:8006",
    bridge="vmbr0",
    pci={"gpu": "rtx4090"},
    proxmox=Proxmox("pve1", "plexctl@pve!lab"),
)


@pytest.fixture
def vms(demo: Plex, kube: NodeType) -> Plex:
    base = replace(kube.base, form=Form.VM)
    node_type = replace(kube, base=base, size=Size(4, 3 << 30, None), pci=("gpu",))
    networks = replace(demo.networks, link=Link.BRIDGE, router=IPv4Address("10.64.3.1"), vlan=7)
    return replace(demo, type=node_type, networks=networks)


@pytest.fixture
def planned(vms: Plex, inputs: Inputs) -> tuple[Instance, ...]:
    plan = plan_plex(vms, replace(inputs, hosts={"local": PVE}))
    assert plan.resources == plan.instances  # neither a network nor a profile
    return plan.instances


def test_a_vm_has_its_size_its_network_and_its_pci_devices(
    planned: tuple[Instance, ...],
) -> None:
    vm = planned[1]
    spec = vm.proxmox

    assert (vm.form, vm.needs, vm.parent) == (Form.VM, (), planned[0].key)
    assert (spec.cores, spec.memory, spec.disk) == (4, 3072, None)
    assert (spec.bridge, spec.vlan) == ("vmbr0", 7)
    assert spec.mac.startswith("10:66:6a:")
    assert spec.pci == ("rtx4090",)


def test_the_seed_has_the_boot_files_and_the_names_of_lab_and_node(
    planned: tuple[Instance, ...],
) -> None:
    vm = planned[0]

    assert vm.boot in seed_of(vm)
    assert seed_name(vm) == f"plex-seed-{vm.owner.lab[:8]}-demo1.iso"


def test_the_spec_of_a_vm_has_no_key(planned: tuple[Instance, ...]) -> None:
    assert b"PRIVATE KEY" in planned[0].boot
    assert "PRIVATE KEY" not in str(planned[0].spec)


def test_scaling_replaces_nothing_and_another_size_does(
    vms: Plex, inputs: Inputs, planned: tuple[Instance, ...]
) -> None:
    there = replace(inputs, hosts={"local": PVE})
    more = plan_plex(replace(vms, workers=5), there).instances
    bigger = plan_plex(replace(vms, type=replace(vms.type, size=Size(8, None, None))), there)

    assert [resource_hash(vm) for vm in more[:3]] == [resource_hash(vm) for vm in planned]
    assert resource_hash(bigger.instances[0]) != resource_hash(planned[0])


def test_a_container_has_its_files_and_no_seed(vms: Plex, inputs: Inputs) -> None:
    base = replace(vms.type.base, form=Form.CONTAINER)
    kind = replace(vms.type, base=base, size=Size(None, None, 5 << 30), pci=(), privileged=True)
    there = replace(inputs, hosts={"local": PVE})
    node = plan_plex(replace(vms, type=kind), there).instances[1]

    assert node.form is Form.CONTAINER
    mac = node.proxmox.mac
    assert node.spec == ProxmoxSpec(mac, "vmbr0", 2048, disk=5120, vlan=7, privileged=True)
    assert b"network.batch" in node.boot
