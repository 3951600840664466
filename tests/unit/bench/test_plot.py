"""The picture of figures."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from tests.bench.plot import LEFT, RIGHT, Axis, label, svg
from tests.bench.stats import FLOOR, PLEXCTL, Measure, Sample, rows

READY = Measure("ready", "1+2: all Ready")
MEMORY = Measure("memory", "  memory of processes then", "MiB", 0, of="ready")
PLAN = Measure("plan", "plan <nothing & all>")
SAMPLES = [
    Sample("ready", PLEXCTL, 1, 5.0),
    Sample("ready", PLEXCTL, 2, 10.0),
    Sample("ready", FLOOR, 1, 20.0),
    Sample("memory", PLEXCTL, 1, -3.0),
    Sample("plan", PLEXCTL, 1, 0.3),
]
SPACE = "{http://www.w3.org/2000/svg}"


def drawn() -> ElementTree.Element:
    return ElementTree.fromstring(
        svg(rows((READY, MEMORY, PLAN), SAMPLES), {"processors": "2 x <fast>"})
    )


def dots(picture: ElementTree.Element) -> list[tuple[str, float]]:
    """Side and place of each dot that stands for a median."""
    return [
        (one.attrib["class"], float(one.attrib["cx"]))
        for one in picture.iter(f"{SPACE}circle")
        if len(one)
    ]


def test_medians_are_dots_on_a_logarithmic_axis() -> None:
    (first, ready), (second, floor), (third, plan) = dots(drawn())

    assert (first, second, third) == (PLEXCTL, FLOOR, PLEXCTL)
    assert LEFT < plan < ready < floor < RIGHT
    length = (floor - ready) / (floor - plan)
    assert length == pytest.approx(math.log(20 / 7.5) / math.log(20 / 0.3), abs=0.01)


def test_words_are_there_and_escaped() -> None:
    words = [one.text for one in drawn().iter(f"{SPACE}text")]

    for shown in ("1+2: all Ready", "7.50", "20.00", "0.25", "plan <nothing & all>"):
        assert shown in words
    assert "1+2: memory of processes" in words
    assert "-3" in words  # no logarithm, so no dot
    assert "processors: 2 x <fast>" in words


def test_it_needs_nothing_else_and_has_two_sets_of_colours() -> None:
    text = svg(rows([READY], SAMPLES), {})

    assert "@media(prefers-color-scheme:dark)" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text


def test_a_title_can_stand_alone() -> None:
    titles = {"ready": "1+2: all Ready"}

    assert label(READY, titles) == "1+2: all Ready"
    time = Measure("p", "  processor time until then", of="ready")
    assert label(time, titles) == "1+2: processor time"


def test_ticks_are_round_and_within() -> None:
    assert Axis(0.25, 30).ticks() == (0.5, 1, 2, 5, 10, 20)
    assert Axis(0.02, 300).ticks() == pytest.approx((0.1, 1, 10, 100))
    assert Axis.over([]).ticks() == (0.5, 1, 2)
    assert Axis.over([19, 21]).high / Axis.over([19, 21]).low == pytest.approx(10)
