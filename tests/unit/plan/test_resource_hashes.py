"""Hashes of resources stay what they are: another hash replaces a node that runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.plex import ApiForward, Link, Plex
from plexctl.model.registry import UPSTREAMS, Registry
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import plan_plex
from plexctl.plan.registry.node import registry_resources
from plexctl.plan.resources.types import Resource, resource_hash

CLOUD = Base(
    "debian12-cloud",
    "bookworm",
    Form.VM,
    BaseSource.CLOUD,
    ("python3",),
    None,
    None,
    None,
    "https://images.example.test/debian-12.qcow2",
    "sha512:" + "0" * 128,
)

PVE = HostSpec(
    "local",
    HostKind.PROXMOX,
    "",
    "local-lvm",
    4,
    url="https://10.0.0.7:8006",
    bridge="vmbr0",
    pci={"gpu": "rtx4090", "nic": "x710"},
    proxmox=Proxmox("pve1", "plexctl@pve!lab"),
)


def hashes(resources: Iterable[Resource]) -> dict[str, str]:
    return {str(resource.key): resource_hash(resource) for resource in resources}


def on_bridge(plex: Plex, node_type: NodeType, *, vlan: int | None) -> Plex:
    router = IPv4Address("10.64.3.1")
    networks = replace(plex.networks, link=Link.BRIDGE, router=router, vlan=vlan)
    return replace(plex, type=node_type, networks=networks)


def test_containers_on_incus(demo: Plex, inputs: Inputs) -> None:
    forward = ApiForward(IPv4Address("10.0.0.7"), 16443)
    sized = replace(demo.type, size=Size(2, 3 << 30, 20 << 30))

    assert hashes(plan_plex(demo, inputs).resources) == {
        "acl/local/plex-demo": "65f31fc648d62b7a",
        "network/local/plex-demo": "e1355625a5c468bf",
        "profile/local/plex-demo-kube": "e5d5cb530fb50de0",
        "instance/local/demo1": "8ed26fa71ed1eb1b",
        "instance/local/demo2": "df475a5054e948b8",
        "instance/local/demo3": "dfc758245616adb5",
    }
    assert hashes(plan_plex(replace(demo, api_forward=forward), inputs).instances[:1]) == {
        "instance/local/demo1": "a7702c8dce680045",
    }
    assert hashes(plan_plex(replace(demo, type=sized), inputs).instances[1:2]) == {
        "instance/local/demo2": "83a634e824c1b4c1",
    }


def test_vms_on_incus(demo: Plex, inputs: Inputs) -> None:
    node_type = replace(demo.type, base=CLOUD)

    assert hashes(plan_plex(replace(demo, type=node_type), inputs).resources) == {
        "acl/local/plex-demo": "65f31fc648d62b7a",
        "network/local/plex-demo": "e1355625a5c468bf",
        "profile/local/plex-demo-kube": "f4b8c81c949c8ba9",
        "instance/local/demo1": "21b76c6edaaa764f",
        "instance/local/demo2": "c02ead11e73bea2c",
        "instance/local/demo3": "ff805ac3ca629605",
    }


def test_vms_on_proxmox(demo: Plex, inputs: Inputs) -> None:
    base, there = replace(demo.type.base, form=Form.VM), replace(inputs, hosts={"local": PVE})
    small = replace(demo.type, base=base)
    large = replace(small, size=Size(4, 3 << 30, (40 << 30) + 1), pci=("nic", "gpu"))

    assert hashes(plan_plex(on_bridge(demo, small, vlan=None), there).resources) == {
        "instance/local/demo1": "898192a035c2cf8d",
        "instance/local/demo2": "cc31451a8aa505c8",
        "instance/local/demo3": "89f8e8b7bebcff4c",
    }
    assert hashes(plan_plex(on_bridge(demo, large, vlan=7), there).resources) == {
        "instance/local/demo1": "bef1f5a8253d142c",
        "instance/local/demo2": "f2d71b01db062f86",
        "instance/local/demo3": "99a6d650d6cd2b53",
    }


def test_containers_on_proxmox(demo: Plex, inputs: Inputs) -> None:
    there = replace(inputs, hosts={"local": PVE})
    small = replace(demo.type, privileged=False)
    large = replace(demo.type, size=Size(3, 3 << 30, 5 << 30))

    assert hashes(plan_plex(on_bridge(demo, small, vlan=None), there).resources) == {
        "instance/local/demo1": "1acf5c8c9096b2d1",
        "instance/local/demo2": "2bcfb226df85c0b5",
        "instance/local/demo3": "b3533883d0ea7971",
    }
    assert hashes(plan_plex(on_bridge(demo, large, vlan=7), there).resources) == {
        "instance/local/demo1": "4b0cee37ef401595",
        "instance/local/demo2": "9a771d5311501ec7",
        "instance/local/demo3": "83e70a1f9c6e003b",
    }


def test_the_registry(demo: Plex, inputs: Inputs) -> None:
    layers = (Layer("registry", ("registry",)),)
    node_type = replace(
        demo.type, name="registry", layers=layers, kubernetes=False, privileged=False
    )
    registry = Registry("depot", IPv4Network("10.64.63.0/24"), UPSTREAMS)
    resources = registry_resources(
        registry,
        node_type,
        inputs.seed,
        inputs.hosts["local"],
        inputs.facts["local"],
        "plex-registry-0123456789ab",
    )

    assert hashes(resources) == {
        "network/local/plex-depot": "4221ce01a690c445",
        "profile/local/plex-depot-registry": "8dcfa9405ae95359",
        "volume/local/depot": "238bef78fb4b1465",
        "instance/local/depot": "4e8899145697eb4f",
    }
