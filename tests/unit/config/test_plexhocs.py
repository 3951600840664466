"""The map plexhocs: reading HCL and JSON, faults, and writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plexctl.config.plexhocs import Plexhocs, as_hcl, as_json, parse, plex_and_host, ranges, shapes
from plexctl.errors import UsageError

ORIGIN = """
# plexhost, baseimg, type, nodelist
plexhocs = {
  "omnius" = {
    "u24c" = { "kube" = 1 }
    u24v   = { "adm" = [2, 4] }   # two of them
    "u22c" = { "adm" : "3" }
    "u22v" = { "adm" = "31-34, 37" }
  }
}
masklen = 22
"""


def test_all_notations_of_numbers() -> None:
    (bases,) = parse(ORIGIN).values()
    assert bases == {
        "u24c": {"kube": (1,)},
        "u24v": {"adm": (2, 4)},
        "u22c": {"adm": (3,)},
        "u22v": {"adm": (31, 32, 33, 34, 37)},
    }


WORD = st.from_regex(r"[a-z][a-z0-9-]{0,5}[a-z]", fullmatch=True)


@st.composite
def maps(draw: st.DrawFn) -> Plexhocs:
    """Valid maps: each plex has its nodes from 1 on."""
    found: Plexhocs = {}
    for key in draw(st.lists(WORD, unique=True, max_size=3)):
        for number in range(1, draw(st.integers(1, 6)) + 1):
            base, kind = draw(st.sampled_from("ab")), draw(st.sampled_from(("kube", "adm")))
            types = found.setdefault(key, {}).setdefault(base, {})
            types[kind] = (*types.get(kind, ()), number)
    return found


@given(maps())
def test_a_printed_map_can_be_read(found: Plexhocs) -> None:
    assert parse(as_json(found)) == found
    assert parse(as_hcl(found)) == found


def test_a_host_has_its_plex_and_a_plex_may_have_several_hosts() -> None:
    assert plex_and_host("omnius") == ("omniplex", "omnius")
    assert plex_and_host("lab@h1") == ("lab", "h1")
    with pytest.raises(UsageError, match="cannot be the name"):
        plex_and_host("h1")
    (shape,) = shapes({"lab@h1": {"a": {"kube": (1, 3)}}, "lab@h2": {"b": {"kube": (2,)}}})
    assert [(place.number, place.host, place.base) for place in shape.nodes] == [
        (1, "h1", "a"),
        (2, "h2", "b"),
        (3, "h1", "a"),
    ]


def test_gaps_are_rejected_or_closed() -> None:
    found = parse(ORIGIN)
    with pytest.raises(UsageError, match="omniplex has no node 5-30, 35-36"):
        shapes(found)
    (shape,) = shapes(found, renumber=True)
    assert [place.number for place in shape.nodes] == list(range(1, 10))
    with pytest.raises(UsageError, match="contains omniplex1 twice"):
        shapes({"omnius": {"a": {"kube": (1,), "adm": (1,)}}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plexhocs = {", "is not valid HCL"),
        ("{]", "is not valid JSON"),
        ("other = 1", "has no variable plexhocs"),
        ("plexhocs = 1", "plexhocs must be a map"),
        ('plexhocs = {"a" = {"b" = [1]}}', "plexhocs.a.b must be a map"),
        ('plexhocs = {"a" = {"b" = {"c" = "x"}}}', "'x' is not a node number"),
        ('plexhocs = {"a" = {"b" = {"c" = true}}}', "is not a node number"),
        ('plexhocs = {"a" = {"b" = {"c" = "3-1"}}}', "is not a node number"),
        ('plexhocs = {"a" = {"b" = {"c" = [1, "1-2"]}}}', "twice"),
    ],
)
def test_a_fault_is_reported(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text)


def test_ranges() -> None:
    assert ranges([7, 2, 3, 4]) == "2-4, 7"
