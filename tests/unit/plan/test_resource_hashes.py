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
        "network/local/plex-demo": "f0e8946d80fb987c",
        "profile/local/plex-demo-kube": "0f612431d455277f",
        "instance/local/demo1": "5418e230c572017a",
        "instance/local/demo2": "6445fc45aa1c37a3",
        "instance/local/demo3": "b99b7e080e2afc9e",
    }
    assert hashes(plan_plex(replace(demo, api_forward=forward), inputs).instances[:1]) == {
        "instance/local/demo1": "49c0605ea7d372dc",
    }
    assert hashes(plan_plex(replace(demo, type=sized), inputs).instances[1:2]) == {
        "instance/local/demo2": "c9d2eece0cafbc5b",
    }


def test_vms_on_incus(demo: Plex, inputs: Inputs) -> None:
    node_type = replace(demo.type, base=CLOUD)

    assert hashes(plan_plex(replace(demo, type=node_type), inputs).resources) == {
        "network/local/plex-demo": "f0e8946d80fb987c",
        "profile/local/plex-demo-kube": "f4b8c81c949c8ba9",
        "instance/local/demo1": "bba0e93385fb00d0",
        "instance/local/demo2": "777e20fe0ad3cffc",
        "instance/local/demo3": "be2d3f911e90567c",
    }


def test_vms_on_proxmox(demo: Plex, inputs: Inputs) -> None:
    base, there = replace(demo.type.base, form=Form.VM), replace(inputs, hosts={"local": PVE})
    small = replace(demo.type, base=base)
    large = replace(small, size=Size(4, 3 << 30, (40 << 30) + 1), pci=("nic", "gpu"))

    assert hashes(plan_plex(on_bridge(demo, small, vlan=None), there).resources) == {
        "instance/local/demo1": "905942a22bc92852",
        "instance/local/demo2": "c2e96a826a7c9479",
        "instance/local/demo3": "bad912bad4caf8b6",
    }
    assert hashes(plan_plex(on_bridge(demo, large, vlan=7), there).resources) == {
        "instance/local/demo1": "b8378e150b638df3",
        "instance/local/demo2": "bd48b67a2f8ea6c2",
        "instance/local/demo3": "af236f94cfc8cebd",
    }


def test_containers_on_proxmox(demo: Plex, inputs: Inputs) -> None:
    there = replace(inputs, hosts={"local": PVE})
    small = replace(demo.type, privileged=False)
    large = replace(demo.type, size=Size(3, 3 << 30, 5 << 30))

    assert hashes(plan_plex(on_bridge(demo, small, vlan=None), there).resources) == {
        "instance/local/demo1": "7e10fc75ea1c9b7f",
        "instance/local/demo2": "dd6bc5f8f5df9fbf",
        "instance/local/demo3": "3489125f3388c5ea",
    }
    assert hashes(plan_plex(on_bridge(demo, large, vlan=7), there).resources) == {
        "instance/local/demo1": "1bf85df2e8a2d126",
        "instance/local/demo2": "ab3c58c3e5bdd855",
        "instance/local/demo3": "dbfc3203400c15c2",
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
