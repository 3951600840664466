"""The nodes of a plex."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexctl.model import nodes
from plexctl.model.plex import Group, JsonText, Networks, Plex, Role, Taint
from plexctl.model.types import Base, BaseSource, Form, NodeType, Size

BASE = Base("debian12", "bookworm", Form.CONTAINER, BaseSource.DEBOOTSTRAP, (), None, None, None)
KUBE = NodeType("kube", "kubenode", BASE, (), True, True, Size(memory=4 << 30))
ADM = NodeType("adm", "admnode", BASE, (), False, False, Size(cpu=1))
NOTHING = JsonText("{}")
DEMO = Plex(
    name="demo",
    file=Path("clusters/demo/plex.yaml"),
    kubernetes="1.36.3",
    host_order=("local",),
    type=KUBE,
    workers=3,
    networks=Networks(
        IPv4Network("10.64.42.0/24"), IPv4Network("10.170.0.0/16"), IPv4Network("10.98.160.0/20")
    ),
    domain="cluster.local",
    dns_replicas=1,
    epoch=1,
    groups=(),
    cluster=NOTHING,
    proxy=NOTHING,
)


def group(
    *numbers: int,
    type_: NodeType | None = None,
    host: str | None = None,
    size: Size | None = None,
    labels: tuple[tuple[str, str], ...] = (),
    taints: tuple[Taint, ...] | None = None,
    kubelet: str = "{}",
) -> Group:
    size = size or Size()
    return Group(frozenset(numbers), type_, host, size, labels, taints, JsonText(kubelet))


def test_a_plex_has_a_master_and_its_workers() -> None:
    first, *workers = nodes.nodes(DEMO)
    assert (first.name, first.role, first.taints) == ("demo1", Role.MASTER, (nodes.MASTER_TAINT,))
    assert [worker.name for worker in workers] == ["demo2", "demo3", "demo4"]
    assert {worker.role for worker in workers} == {Role.WORKER}
    assert {worker.taints for worker in workers} == {()}


def test_addresses_of_a_node_depend_only_on_its_number() -> None:
    """A plex that grows or shrinks leaves its other nodes as they are."""
    fourth = nodes.node(DEMO, 4)
    assert fourth.address == IPv4Interface("10.64.42.14/24")
    assert fourth.pods == IPv4Network("10.170.4.0/24")
    assert fourth.mac == nodes.mac("demo", 4)
    assert nodes.node(replace(DEMO, workers=60), 4) == fourth
    assert nodes.nodes(replace(DEMO, workers=60))[3] == fourth


def test_names_of_the_networks() -> None:
    assert DEMO.networks.gateway() == IPv4Interface("10.64.42.1/24")
    assert str(DEMO.networks.api_service) == "10.98.160.1"
    assert str(DEMO.networks.dns_service) == "10.98.160.10"


def test_later_groups_win_field_by_field() -> None:
    plex = replace(
        DEMO,
        groups=(
            group(2, 3, host="b", size=Size(cpu=2), labels=(("x", "1"), ("y", "1"))),
            group(2, size=Size(disk=9), labels=(("y", "2"),), kubelet='{"maxPods": 5, "a": 1}'),
            group(2, 4, taints=(Taint("t", "", "NoExecute"),), kubelet='{"maxPods": 6}'),
        ),
    )
    second, third, fourth = nodes.nodes(plex)[1:]
    assert second.size == Size(cpu=2, memory=4 << 30, disk=9)
    assert second.labels == (("x", "1"), ("y", "2"))
    assert second.kubelet == '{"a": 1, "maxPods": 6}'
    assert second.taints == fourth.taints == (Taint("t", "", "NoExecute"),)
    assert (second.host, third.host, fourth.host) == ("b", "b", "local")
    assert third.labels == (("x", "1"), ("y", "1"))


def test_a_node_of_another_type_has_that_types_size() -> None:
    plex = replace(DEMO, groups=(group(3, size=Size(disk=9)), group(3, type_=ADM)))
    third = nodes.node(plex, 3)
    assert (third.role, third.type) == (Role.PLAIN, ADM)
    assert third.size == Size(cpu=1, disk=9)


def test_a_group_can_remove_the_taint_of_the_master() -> None:
    assert nodes.node(replace(DEMO, groups=(group(1, taints=()),)), 1).taints == ()
    assert nodes.node(replace(DEMO, groups=(group(1),)), 1).taints == (nodes.MASTER_TAINT,)


@given(st.integers(16, 28), st.integers(8, 24))
def test_the_last_node_that_fits_is_inside_its_networks(node_bits: int, pod_bits: int) -> None:
    networks = Networks(
        IPv4Network((0x0A000000, node_bits)),
        IPv4Network((0x64000000, pod_bits)),
        DEMO.networks.services,
    )
    most = nodes.capacity(networks)
    for index in {1, most} if most else set():
        address = nodes.address(networks, index)
        assert address.ip in networks.nodes
        assert address.ip not in (
            networks.gateway().ip,
            networks.nodes.network_address,
            networks.nodes.broadcast_address,
        )
        assert nodes.pod_network(networks, index).subnet_of(networks.pods)
    beyond_pods = not nodes.pod_network(networks, most + 1).subnet_of(networks.pods)
    beyond_addresses = 10 + most + 1 >= networks.nodes.num_addresses - 1
    assert beyond_pods or beyond_addresses


@pytest.mark.parametrize("plex", ["demo", "a", "zzzzzzzzzz"])
def test_macs_have_the_prefix_of_incus_and_are_unique_in_a_plex(plex: str) -> None:
    macs = [nodes.mac(plex, index) for index in range(1, 245)]
    assert all(mac.startswith("10:66:6a:") and len(mac) == 17 for mac in macs)
    assert len(set(macs)) == len(macs)
