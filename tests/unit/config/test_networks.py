"""Default networks of plexes, and free ones."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexctl.config.networks import SLOTS, default_networks, each, free_networks
from plexctl.config.values.names import PLEX_NAME
from plexctl.errors import UsageError


def test_the_networks_of_demo_never_change() -> None:
    """Running plexes use them."""
    assert [str(network) for network in each(default_networks("demo")).values()] == [
        "10.64.42.0/24",
        "10.170.0.0/16",
        "10.98.160.0/20",
    ]


@given(st.from_regex(PLEX_NAME, fullmatch=True))
def test_networks_of_any_name_do_not_overlap(name: str) -> None:
    networks = each(default_networks(name)).values()
    assert all(network.is_private for network in networks)
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2))


def test_a_lab_has_room_for_all_slots_and_no_more() -> None:
    used: list[IPv4Network] = []
    for _ in range(SLOTS):
        networks = each(free_networks(used)).values()
        assert not any(own.overlaps(other) for own in networks for other in used)
        used += networks
    with pytest.raises(UsageError, match="each of the 62 default networks"):
        free_networks(used)


def test_the_default_is_used_while_it_is_free() -> None:
    assert free_networks([], "demo") == default_networks("demo")
    taken = IPv4Network("10.64.42.128/25")
    assert free_networks([taken], "demo") == free_networks([])
