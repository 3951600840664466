"""Parsers of node numbers, sizes, labels, taints and names."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexctl.config.faults import Fault
from plexctl.config.shape import Scalar
from plexctl.config.values.names import DOMAIN, NAME, PLEX_NAME, parse_plex_name
from plexctl.config.values.nodes import LABEL_KEY, LABEL_VALUE, MOST_NODES, NUMBERS, TAINT
from plexctl.config.values.sizes import SIZE
from plexctl.model.nodes import node_name
from plexctl.model.plex import Taint

numbers = st.integers(1, MOST_NODES)
names = st.from_regex(PLEX_NAME, fullmatch=True)


@given(st.sets(numbers, min_size=1, max_size=40), st.randoms())
def test_all_notations_of_node_numbers_are_equal(wanted: set[int], random: Callable) -> None:  # type: ignore[type-arg]
    ranges: list[list[int]] = []
    for number in sorted(wanted):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = [f"{first}-{last}" if first < last else str(first) for first, last in ranges]
    random.shuffle(parts)  # type: ignore[attr-defined]
    for written in (", ".join(parts), ",".join(parts), parts, sorted(wanted)):
        assert NUMBERS.parse(written) == wanted


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text())))
def test_numbers_are_in_range_or_a_fault(written: object) -> None:
    try:
        found = NUMBERS.parse(written)
    except Fault:
        return
    assert all(1 <= number <= MOST_NODES for number in found)


def test_a_huge_range_is_rejected_at_once() -> None:
    with pytest.raises(Fault, match="there is no node 999999999"):
        NUMBERS.parse("1-999999999")
    with pytest.raises(Fault, match="must be node numbers"):
        NUMBERS.parse("1-" + "9" * 5000)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("2GiB", 2 * 2**30),
        ("2 GiB", 2 * 2**30),
        ("1.5GB", 1_500_000_000),
        ("0.1TB", 100_000_000_000),
        ("1kB", 1000),
    ],
)
def test_sizes_have_units(written: str, size: int) -> None:
    assert SIZE.parse(written) == size


@given(st.integers(1, 10**6), st.sampled_from(["KiB", "MiB", "GiB", "TiB"]))
def test_sizes_are_exact(count: int, unit: str) -> None:
    power = {"K": 10, "M": 20, "G": 30, "T": 40}[unit[0]]
    assert SIZE.parse(f"{count}{unit}") == count << power


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("2Gi", "did you mean 2GiB?"),
        ("2G", "did you mean 2GiB?"),
        ("2gib", "did you mean 2GiB?"),
        ("512m", "did you mean 512MiB?"),
        ("much", "for example 512MiB, 2GiB or 1.5GB"),
        (2, "for example 512MiB, 2GiB or 1.5GB"),
    ],
)
def test_a_wrong_size_has_a_hint_with_the_likely_one(written: object, hint: str) -> None:
    with pytest.raises(Fault) as caught:
        SIZE.parse(written)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("written", "taint"),
    [
        ("a=b:NoSchedule", Taint("a", "b", "NoSchedule")),
        ("a:NoExecute", Taint("a", "", "NoExecute")),
        ("a=:NoExecute", Taint("a", "", "NoExecute")),
        (
            "example.com/a.b=c_d:PreferNoSchedule",
            Taint("example.com/a.b", "c_d", "PreferNoSchedule"),
        ),
    ],
)
def test_taints_have_the_notation_of_kubectl(written: str, taint: Taint) -> None:
    assert TAINT.parse(written) == taint


@pytest.mark.parametrize("key", ["disk", "a.b_c-D", "example.com/x", "node.kubernetes.io/pool"])
def test_labels_that_a_kubelet_may_set(key: str) -> None:
    assert LABEL_KEY.parse(key) == key


@pytest.mark.parametrize(
    "key",
    ["-a", "a b", "a/b/c", "A.com/x", "a" * 64, "x" * 254 + "/a", "kubernetes.io/x", "a.k8s.io/x"],
)
def test_labels_that_a_kubelet_may_not_set(key: str) -> None:
    with pytest.raises(Fault):
        LABEL_KEY.parse(key)


@given(names, numbers, names, numbers)
def test_no_two_nodes_of_a_lab_have_the_same_name(a: str, i: int, b: str, j: int) -> None:
    assert (node_name(a, i) == node_name(b, j)) == ((a, i) == (b, j))


@given(names)
def test_a_bridge_has_room_for_the_name_of_its_plex(name: str) -> None:
    assert parse_plex_name(name) == name
    assert len(f"plex-{name}") <= 15


@pytest.mark.parametrize("name", ["master", "worker", "plain", "all", "ungrouped"])
def test_no_plex_has_the_name_of_a_group_of_ansible(name: str) -> None:
    with pytest.raises(Fault, match=f"'{name}' cannot be the name of a plex"):
        parse_plex_name(name)


@pytest.mark.parametrize(
    "kind",
    [SIZE, LABEL_KEY, LABEL_VALUE, TAINT, NAME, DOMAIN],
)
@given(text=st.text(st.sampled_from("aB1-_./=: GiBNoSchedule"), max_size=12))
def test_the_schema_accepts_what_the_parser_accepts(kind: Scalar[object], text: str) -> None:
    """An editor marks no value as wrong that plexctl accepts."""
    try:
        kind.parse(text)
    except Fault:
        return
    assert re.search(kind.schema()["pattern"], text)
