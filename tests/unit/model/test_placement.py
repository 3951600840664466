"""Nodes are distributed over hosts by their memory."""

from __future__ import annotations

from plexctl.model.placement import by_capacity

GIB = 1 << 30


def test_equal_hosts_alternate() -> None:
    assert by_capacity({"a": 8 * GIB, "b": 8 * GIB, "c": 8 * GIB}) == ("a", "b", "c")


def test_a_larger_host_has_its_share_throughout() -> None:
    order = by_capacity({"small": 16 * GIB, "large": 64 * GIB})

    assert order == ("large", "large", "small", "large", "large")


def test_every_prefix_is_as_even_as_the_whole_order() -> None:
    memory = {"a": 48 * GIB, "b": 32 * GIB, "c": 16 * GIB}
    order = by_capacity(memory)

    assert sorted(order) == ["a", "a", "a", "b", "b", "c"]
    for length in range(1, len(order) + 1):
        for host, share in {"a": 3, "b": 2, "c": 1}.items():
            assert abs(order[:length].count(host) - length * share / 6) < 1


def test_odd_sizes_are_rounded_and_tiny_hosts_have_a_turn() -> None:
    # What a kernel keeps for itself must not make a rota of thousands of order.
    assert by_capacity({"a": 16 * GIB - 300_000_000, "b": 16 * GIB - 1}) == ("a", "b")
    assert set(by_capacity({"a": 1, "b": 2 * GIB})) == {"a", "b"}
    assert by_capacity({"only": 3 * GIB}) == ("only",)
