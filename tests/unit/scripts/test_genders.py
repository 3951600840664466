"""The genders format of genders(5), and a round trip through an inventory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexctl.errors import PlexError
from plexctl.scripts.genders_file import compress, expand, inventory, nodes_of, parse, text

WORDS = st.text("abz019-_", min_size=1, max_size=6)
NODE = st.one_of(
    WORDS, st.builds("{}{:0{}d}".format, WORDS, st.integers(0, 120), st.integers(1, 3))
)
GROUP = st.text("abz019-_.", min_size=1, max_size=6).filter(
    lambda word: word not in ("all", "ungrouped")
)
VALUES = st.none() | st.text("ab1%n=[]", max_size=5)
NODES = st.dictionaries(NODE, st.dictionaries(GROUP, VALUES, max_size=4), max_size=12)


@given(NODES)
def test_a_file_comes_back_through_an_inventory(nodes: dict[str, dict[str, str | None]]) -> None:
    again = nodes_of(inventory(nodes))
    assert again == nodes
    assert parse(text(nodes)) == nodes


@given(st.lists(NODE, unique=True, min_size=1))
def test_compressed_names_expand_to_the_same(names: list[str]) -> None:
    assert sorted(expand(compress(names))) == sorted(names)


def test_ranges_values_and_substitution() -> None:
    nodes = parse("n[08-10,12]x,gate  a,b=%n-1%%  # c\n\nn09x more\nalone\n")
    assert list(nodes) == ["n08x", "n09x", "n10x", "n12x", "gate", "alone"]
    assert nodes["n09x"] == {"a": None, "b": "n09x-1%", "more": None}
    assert inventory(nodes)["ungrouped"] == {"hosts": ["alone"]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a x y", "'y' follows"),
        ("a[1 x", r"lacks a \]"),
        ("a[3-1] x", "ends before"),
        ("a[1-x] x", "not a number"),
        ("a x,,y", "no name"),
        ("a,a x", "has the attribute x already"),
        ("a[1-999999999] x", "more than"),
    ],
)
def test_an_error_names_its_line(line: str, reason: str) -> None:
    with pytest.raises(PlexError, match=f"genders:2: .*{reason}"):
        parse(f"\n{line}\n")


def test_nested_groups_count_and_inexpressible_values_are_refused() -> None:
    tree = {
        "_meta": {"hostvars": {"a": {"site": "north", "ansible_host": "10.0.0.1"}, "b": {}}},
        "all": {"children": ["lab", "ungrouped"]},
        "lab": {"children": ["site"]},
        "site": {"hosts": ["a"]},
        "ungrouped": {"hosts": ["b"]},
    }
    assert text(nodes_of(tree)) == "a lab,site=north\nb\n"
    with pytest.raises(PlexError, match="the value 'a b' of site"):
        text({"a": {"site": "a b"}})
    with pytest.raises(PlexError, match="not an inventory"):
        nodes_of({"all": "x"})
