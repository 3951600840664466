"""The networks that nodes are attached to, on each host of a plex."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Group, JsonText, Link, Networks, Plex
from plexctl.model.resources import Kind
from plexctl.model.types import NodeType, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.network.links import TUNNEL_MTU, mtu, sites
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.incus import nic
from plexctl.plan.resources.types import Network, Owner

OWNER = Owner("1a2b3c4d", "demo")


def host(name: str, last: int, **more: object) -> HostSpec:
    address = IPv4Address(f"192.168.7.{last}")
    found = HostSpec(name, HostKind.INCUS, "", "default", 4, url=f"https://{address}:8443")
    return replace(found, address=address, **more)  # type: ignore[arg-type]


HOSTS = {name: host(name, last) for last, name in enumerate(("one", "two", "three"), 1)}


def config(plex: Plex, name: str) -> dict[str, str]:
    network = sites(plex, OWNER, HOSTS)[name].network
    assert network is not None
    return dict(network.config)


def test_one_host_has_a_bridge_and_no_tunnel(demo: Plex) -> None:
    alone = replace(demo, host_order=("two",))

    assert config(alone, "two") == {
        "ipv4.address": "10.64.3.1/24",
        "ipv4.nat": "true",
        "ipv4.dhcp": "false",
        "ipv4.routes": "10.131.0.0/16",
        "ipv6.address": "none",
        "security.acls": "plex-demo",
    }
    assert mtu(alone) is None


def test_the_tunnels_of_three_hosts_are_a_star_around_the_master(demo: Plex) -> None:
    spread = replace(demo, host_order=("one", "two", "three"))
    middle = config(spread, "one")
    number = middle["tunnel.1.id"]

    assert 0 < int(number) < 1 << 24
    assert middle == {
        "ipv4.address": "10.64.3.1/24",
        "ipv4.nat": "true",
        "ipv4.dhcp": "false",
        "ipv4.routes": "10.131.0.0/16",
        "ipv6.address": "none",
        "security.acls": "plex-demo",
        "bridge.mtu": "1450",
        "tunnel.1.protocol": "vxlan",
        "tunnel.1.id": number,
        "tunnel.1.local": "192.168.7.1",
        "tunnel.1.remote": "192.168.7.2",
        "tunnel.1.port": "4789",
        "tunnel.1.ttl": "64",
        "tunnel.2.protocol": "vxlan",
        "tunnel.2.id": number,
        "tunnel.2.local": "192.168.7.1",
        "tunnel.2.remote": "192.168.7.3",
        "tunnel.2.port": "4789",
        "tunnel.2.ttl": "64",
    }
    for name, address, gateway in (
        ("two", "192.168.7.2", "10.64.3.2/24"),
        ("three", "192.168.7.3", "10.64.3.3/24"),
    ):
        ray = config(spread, name)
        assert ray["ipv4.address"] == gateway
        assert {key: value for key, value in ray.items() if key.startswith("tunnel")} == {
            "tunnel.0.protocol": "vxlan",
            "tunnel.0.id": number,
            "tunnel.0.local": address,
            "tunnel.0.remote": "192.168.7.1",
            "tunnel.0.port": "4789",
            "tunnel.0.ttl": "64",
        }
    assert mtu(spread) == TUNNEL_MTU


def test_two_plexes_have_tunnels_of_their_own(demo: Plex) -> None:
    spread = replace(demo, host_order=("one", "two"))
    other = sites(replace(spread, name="side"), Owner(OWNER.lab, "side"), HOSTS)["one"].network
    assert other

    assert dict(other.config)["tunnel.1.id"] != config(spread, "one")["tunnel.1.id"]


def test_the_host_of_the_master_is_the_center(demo: Plex, kube: NodeType) -> None:
    group = Group(frozenset({1}), None, "three", Size(), (), None, JsonText("{}"))
    spread = replace(demo, host_order=("one", "two"), groups=(group,))

    assert tuple(sites(spread, OWNER, HOSTS)) == ("three", "one", "two")
    assert config(spread, "three")["tunnel.1.remote"] == "192.168.7.1"
    assert config(spread, "two")["tunnel.0.remote"] == "192.168.7.3"


def bridged(plex: Plex, vlan: int | None = None) -> Plex:
    old = plex.networks
    networks = Networks(
        old.nodes, old.pods, old.services, Link.BRIDGE, IPv4Address("10.64.3.254"), vlan
    )
    return replace(plex, networks=networks, host_order=("one", "pve"))


@pytest.mark.parametrize("vlan", [None, 42])
def test_a_bridge_that_exists_needs_no_network(demo: Plex, vlan: int | None) -> None:
    proxmox = host("pve", 9, kind=HostKind.PROXMOX, bridge="vmbr0", proxmox=Proxmox("pve", "t"))
    hosts = {"one": host("one", 1, bridge="br0"), "pve": proxmox}
    found = sites(bridged(demo, vlan), OWNER, hosts)
    tag = {"vlan": "42"} if vlan else {}

    assert [site.network for site in found.values()] == [None, None]
    assert {str(site.gateway) for site in found.values()} == {"10.64.3.254/24"}
    assert nic(found["one"]) == {
        "type": "nic",
        "nictype": "bridged",
        "parent": "br0",
        "name": "eth0",
        **tag,
    }
    assert (found["pve"].bridge, found["pve"].vlan) == ("vmbr0", vlan)
    assert mtu(bridged(demo, vlan)) is None


def test_a_plan_over_two_hosts_has_the_needs_of_each_node_on_its_host(
    demo: Plex, inputs: Inputs
) -> None:
    spread = replace(demo, host_order=("one", "two"))
    facts = inputs.facts["local"]
    there = replace(
        inputs,
        hosts=HOSTS,
        facts=dict.fromkeys(HOSTS, facts),
        baked=dict.fromkeys((("one", "kube"), ("two", "kube")), "plex-kube-0123456789ab"),
    )
    plan = plan_plex(spread, there)

    networks = {one.host for one in plan.resources if isinstance(one, Network)}
    assert networks == {"one", "two"}
    assert {node.name: node.host for node in plan.nodes} == {
        "demo1": "one",
        "demo2": "two",
        "demo3": "one",
    }
    for instance in plan.instances:
        needed = [key for key in instance.needs if key.kind in (Kind.PROFILE, Kind.NETWORK)]
        assert needed
        assert all(key.host == instance.host for key in needed)
