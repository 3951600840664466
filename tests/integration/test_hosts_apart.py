"""A plex on two machines in different networks: this machine is the router between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Interface

import pytest

from .machine import make_bridge
from .nested import HERE_ALONE, NestedHost
from .support import Lab, host, typed

PLEX = "apart"
EAST = (IPv4Interface("198.18.80.1/24"), IPv4Interface("198.18.80.61/24"))
WEST = (IPv4Interface("198.18.81.1/24"), IPv4Interface("198.18.81.61/24"))
FILE = """\
workers: 1
hosts: [east, west]
networks: {nodes: 10.79.3.0/24, pods: 10.192.0.0/16, services: 10.103.32.0/20}
"""


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, NestedHost]]:
    """Two machines that reach each other by their own addresses, through this one."""
    incus, found = host(), {}
    with ExitStack() as stack:
        for name, (gateway, address) in {"east": EAST, "west": WEST}.items():
            bridge = f"plextest-{name}"
            make_bridge(incus, bridge, gateway, nat=False)
            stack.callback(incus.networks.delete, bridge)
            folder = tmp_path_factory.mktemp(name)
            machine = NestedHost(folder, f"plextest-{name}1", address, bridge, gateway)
            found[name] = stack.enter_context(machine)
        yield found


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, routed: dict[str, NestedHost]) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    (lab.root / "clusters" / "hosts.yaml").write_text(HERE_ALONE)
    lab.run("init", PLEX)
    for name, machine in routed.items():
        typed(lab, machine.token(), "host", "add", name, machine.url, "--token")
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


def test_nodes_and_pods_reach_each_other_through_the_router(
    apart: Lab, routed: dict[str, NestedHost]
) -> None:
    way = routed["east"].run("ip", "route", "get", str(WEST[1].ip))
    assert f"via {EAST[0].ip}" in way

    status = apart.ask("up", PLEX)["nodes"]

    assert {node["name"]: (node["host"], node["ready"]) for node in status} == {
        "apart1": ("east", True),
        "apart2": ("west", True),
    }
    # A pod on the one is asked from the other: CoreDNS, by its address and by the service's.
    kubectl = ("exec", "apart1", "--", "kubectl", "-n", "kube-system", "get")
    pods = apart.run(
        *kubectl, "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[*].status.podIP}"
    ).out
    service = apart.run(*kubectl, "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}").out
    for address in (*pods.split(), service.strip()):
        apart.run("exec", "apart2", "--", "bash", "-c", f"exec 3<>/dev/tcp/{address}/53")


def test_a_second_up_changes_nothing_and_destroy_leaves_nothing(
    apart: Lab, routed: dict[str, NestedHost]
) -> None:
    assert apart.ask("up", PLEX)["changes"] == []

    apart.run("destroy", PLEX, "-y")

    for machine in routed.values():
        assert PLEX not in machine.run("incus", "list", "--format=csv")
        assert PLEX not in machine.run("ip", "link")
