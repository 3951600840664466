"""Addresses, routes and names of a node, as files.

A node has routes to every node that its plex can ever have, so that scaling changes no file of the
nodes that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from plexctl.model.nodes import FIRST_ADDRESS, capacity, gateway, node_name, pod_network
from plexctl.model.plex import Node, Plex, Role
from plexctl.plan.boot.files import BootFile, text
from plexctl.plan.cni.choice import cni_of
from plexctl.plan.resources.profile import NIC


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A node that a plex has or could have, as lines in the files of all other nodes."""

    index: int
    host: str  # line of /etc/hosts
    route: str  # line of `ip -batch`


def neighbours(plex: Plex) -> tuple[Neighbour, ...]:
    """All neighbours of a plex, computed only once: there may be hundreds."""
    found = []
    for index in range(1, capacity(plex.networks) + 1):
        via = plex.networks.nodes[FIRST_ADDRESS + index]
        host = f"{via} {node_name(plex.name, index)}"
        route = f"route replace {pod_network(plex.networks, index)} via {via}"
        found.append(Neighbour(index, host, route))
    return tuple(found)


def network_files(
    plex: Plex, node: Node, others: tuple[Neighbour, ...], *, joins: bool = False
) -> tuple[BootFile, ...]:
    """The name of a node, and its network. `joins`: other masters still have the endpoint."""
    batch = ip_batch(plex, node, others, joins=joins)
    return machine_files(node.name, gateway(plex, node).ip, hosts(others), batch)


def machine_files(
    name: str, gateway: IPv4Address, names: str, batch: Sequence[str]
) -> tuple[BootFile, ...]:
    """The name of a machine, and its way to all other machines."""
    return (
        text("/etc/hostname", f"{name}\n"),
        text("/etc/hosts", names),
        text("/etc/resolv.conf", f"nameserver {gateway}\n"),
        text("/etc/plexctl/network.batch", "\n".join(batch) + "\n"),
    )


def hosts(others: tuple[Neighbour, ...]) -> str:
    return "\n".join(("127.0.0.1 localhost", *(other.host for other in others))) + "\n"


def ip_batch(
    plex: Plex, node: Node, others: tuple[Neighbour, ...], *, joins: bool = False
) -> tuple[str, ...]:
    """Lines for `ip -batch`: one process sets all routes, and may do so again.

    A node has no route to its own pods here: each pod has an interface of its own.
    """
    others = others if cni_of(plex).routed else ()
    routes = (other.route for other in others if other.index != node.index)
    own = link_lines(node.address, gateway(plex, node).ip)
    endpoint = () if joins else endpoint_lines(plex, node)
    return (*own, *endpoint, *routes)


def endpoint_lines(plex: Plex, node: Node) -> tuple[str, ...]:
    """The address of the API, on a master that is the only one: it moves between several."""
    if node.role is not Role.MASTER or plex.masters > 1:
        return ()
    return (f"address replace {plex.networks.endpoint}/32 dev {NIC}",)


def link_lines(address: IPv4Interface, gateway: IPv4Address) -> tuple[str, ...]:
    """The machine's own address, and its default route."""
    return (
        "link set dev lo up",
        f"link set dev {NIC} up",
        f"address replace {address} dev {NIC}",
        f"route replace default via {gateway}",
    )
