"""The routes of this machine, compared with those that `ip` lists."""

from __future__ import annotations

import json
import shutil
import subprocess
from ipaddress import IPv4Network

import pytest

from plexctl.clients.routes import has_interface, local_routes
from plexctl.model.routes import Route

PLEX = IPv4Network("10.64.7.0/24")


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")
def test_the_routes_are_those_of_the_kernel() -> None:
    command = ("ip", "-json", "-4", "route", "show", "table", "all", "type", "unicast")
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    wanted = {
        (IPv4Network(one["dst"]), one["dev"], one["protocol"] == "kernel")
        for one in listed
        if one["dst"] != "default" and "dev" in one
    }
    assert {(r.network, r.interface, r.connected) for r in local_routes()} == wanted


def test_interfaces_are_found_by_name() -> None:
    assert has_interface("lo")
    assert not has_interface("plex-nowhere")


@pytest.mark.parametrize(
    ("network", "connected", "overlaps"),
    [
        ("10.64.7.0/24", True, True),
        ("10.64.7.0/24", False, True),
        ("10.64.7.128/25", False, True),
        ("10.64.0.0/16", True, True),
        ("10.0.0.0/8", False, False),  # of a VPN
        ("10.65.0.0/16", True, False),
    ],
)
def test_a_larger_network_elsewhere_is_no_obstacle(
    network: str, connected: bool, overlaps: bool
) -> None:
    assert Route(IPv4Network(network), "tun0", connected).overlaps(PLEX) == overlaps
