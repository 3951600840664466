"""The rules of a bridge, applied to packets as nftables applies those that Incus makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from plexctl.model.plex import Plex
from plexctl.model.settings import Settings
from plexctl.plan.network.isolation import isolation
from plexctl.plan.resources.types import Acl, Forward, Network, Owner

OWNER = Owner("1a2b3c4d", "demo")
HOST, NODE, OTHER_NODE = "10.64.3.1", "10.64.3.11", "10.64.3.12"
POD, SERVICE, INTERNET = "10.131.2.5", "10.96.48.10", "198.51.100.7"
FOREIGN_NODE, FOREIGN_POD, LAPTOP = "10.64.9.12", "10.137.1.2", "192.168.1.20"


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    protocol: str = "tcp"
    port: int = 6443


def passes(rules: tuple[Settings, ...], packet: Packet) -> bool:
    """Incus tries `drop` before `allow`, and rejects what matches no rule."""
    matching = [dict(rule) for rule in rules if _matches(dict(rule), packet)]
    return bool(matching) and all(rule["action"] == "allow" for rule in matching)


def _matches(rule: dict[str, str], packet: Packet) -> bool:
    assert rule["state"] == "enabled"
    assert rule.keys() <= {"action", "state", "source", "destination", "destination_port"} | {
        "protocol"
    }
    return (
        ("protocol" not in rule or rule["protocol"] == packet.protocol)
        and ("destination_port" not in rule or int(rule["destination_port"]) == packet.port)
        and _within(rule.get("source"), packet.source)
        and _within(rule.get("destination"), packet.destination)
    )


def _within(subjects: str | None, text: str) -> bool:
    if subjects is None:
        return True
    address = IPv4Address(text)
    for subject in subjects.split(","):
        first, _, last = subject.partition("-")
        if last and IPv4Address(first) <= address <= IPv4Address(last):
            return True
        if not last and address in IPv4Network(first):
            return True
    return False


def acl(demo: Plex, *, forwarded: bool = False, **changes: object) -> Acl:
    plex = replace(demo, **changes)  # type: ignore[arg-type]
    forward = Forward("192.0.2.7", 20042, str(plex.networks.endpoint), 6443) if forwarded else None
    network = Network("plex-demo", "local", OWNER, (), forward)
    return isolation(plex, OWNER, network)


@pytest.mark.parametrize("source", [FOREIGN_NODE, FOREIGN_POD, LAPTOP, INTERNET, "10.64.4.1"])
@pytest.mark.parametrize("target", [NODE, POD])
def test_nothing_else_connects_to_a_plex(demo: Plex, source: str, target: str) -> None:
    assert not passes(acl(demo).ingress, Packet(source, target))


@pytest.mark.parametrize("source", [HOST, "10.64.3.2", NODE, POD])
def test_its_hosts_and_itself_connect_to_a_plex(demo: Plex, source: str) -> None:
    """Its own packets pass these rules where the host has br_netfilter."""
    for target in (OTHER_NODE, POD):
        assert passes(acl(demo).ingress, Packet(source, target))


def test_an_exception_is_for_these_networks_only(demo: Plex) -> None:
    allowed = (IPv4Network("10.64.9.0/24"), IPv4Network("10.137.0.0/16"))
    ingress = acl(demo, allowed=allowed).ingress

    assert passes(ingress, Packet(FOREIGN_NODE, NODE))
    assert passes(ingress, Packet(FOREIGN_POD, POD))
    assert passes(ingress, Packet(HOST, NODE))
    assert not passes(ingress, Packet(LAPTOP, NODE))


def test_a_port_that_leads_to_the_api_leads_nowhere_else(demo: Plex) -> None:
    ingress = acl(demo, forwarded=True).ingress
    api = str(demo.networks.endpoint)

    assert passes(ingress, Packet(LAPTOP, api))
    assert not passes(ingress, Packet(LAPTOP, api, port=22))
    assert not passes(ingress, Packet(LAPTOP, NODE))


def test_without_isolation_everyone_connects(demo: Plex) -> None:
    for source in (FOREIGN_NODE, LAPTOP, INTERNET, HOST):
        assert passes(acl(demo, allowed=None).ingress, Packet(source, NODE))


@pytest.mark.parametrize("allowed", [(), None, (IPv4Network("10.64.9.0/24"),)])
@pytest.mark.parametrize("target", [INTERNET, HOST, FOREIGN_NODE, "10.64.63.2", LAPTOP])
def test_a_plex_connects_to_everything(demo: Plex, target: str, allowed: object) -> None:
    """Whether another plex is isolated is a matter of that plex."""
    egress = acl(demo, allowed=allowed).egress

    assert passes(egress, Packet(NODE, target))
    assert passes(egress, Packet(POD, target, "udp", 53))


@pytest.mark.parametrize("source", [FOREIGN_NODE, "10.64.9.1", FOREIGN_POD, INTERNET, SERVICE])
def test_a_node_cannot_send_from_addresses_of_others(demo: Plex, source: str) -> None:
    for allowed in ((), None):
        assert not passes(acl(demo, allowed=allowed).egress, Packet(source, FOREIGN_NODE))


@pytest.mark.parametrize("target", [HOST, "10.64.3.2", "10.64.9.1", LAPTOP, INTERNET])
def test_no_packet_reaches_the_tunnels_of_hosts(demo: Plex, target: str) -> None:
    """A host would take frames out of it, whoever sent it."""
    egress = acl(demo, allowed=None).egress

    assert not passes(egress, Packet(NODE, target, "udp", 4789))
    assert passes(egress, Packet(NODE, target, "tcp", 4789))
    assert passes(egress, Packet(NODE, target, "udp", 8472))


def test_nodes_use_the_port_of_tunnels_among_themselves(demo: Plex) -> None:
    assert passes(acl(demo).egress, Packet(NODE, OTHER_NODE, "udp", 4789))


def test_networks_within_others_are_listed_once(demo: Plex) -> None:
    """nftables refuses a set whose members overlap."""
    allowed = (IPv4Network("10.64.0.0/16"), IPv4Network("10.64.9.0/24"))

    assert dict(acl(demo, allowed=allowed).ingress[0])["source"] == "10.64.0.0/16,10.131.0.0/16"
