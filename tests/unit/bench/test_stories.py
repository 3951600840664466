"""The steps that a benchmark runs for the requested measures."""

from __future__ import annotations

import pytest

from plexctl.errors import PlexError
from tests.bench.measures import MEASURES, OF_APPS
from tests.bench.results import Results
from tests.bench.run import NAMES, parse
from tests.bench.stats import FLOOR, PLEXCTL
from tests.bench.stories import ALONE, STORIES, minutes, small


def played(*names: str, side: str = PLEXCTL) -> list[tuple[int, int]]:
    """Workers and number of steps of each story that is played."""
    results = Results(frozenset(names))
    found = [(story.workers, len(story.wanted(results, side))) for story in STORIES]
    return [(workers, steps) for workers, steps in found if steps]


def test_each_measure_belongs_to_a_story() -> None:
    covered = {m.name for story in STORIES for m in story.measures}
    covered |= {one.measure.name for one in ALONE} | {one.name for one in OF_APPS}

    assert covered == {measure.name for measure in MEASURES}
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert {m.of for m in MEASURES if m.of} <= set(NAMES)


def test_only_what_is_wanted_is_done() -> None:
    assert played("dns") == [(2, 1)]
    assert played("replace-worker", "plan") == [(2, 3)]
    assert played("idle-64") == [(64, 2)]
    assert played("help", "apps") == []


def test_the_floor_does_what_it_can() -> None:
    assert played("plan", "plan-64", "ready-128", side=FLOOR) == []
    assert played("ready", "plan", side=FLOOR) == [(2, 1)]
    assert played("scale-18", "idle-64", "status-64", side=FLOOR) == [(2, 2), (64, 2)]


def test_many_nodes_only_where_they_are_asked_for() -> None:
    assert {workers for workers, _ in played(*parse([]).only)} == {2}
    assert {workers for workers, _ in played(*parse(["--quick"]).only)} == {2}
    assert {workers for workers, _ in played(*parse(["--all"]).only)} == {2, 16, 64, 128}
    assert "scale-18" not in small()


def test_minutes_are_of_what_is_wanted() -> None:
    def estimate(*names: str, runs: int = 1, big: int = 1) -> float:
        return minutes(Results(frozenset(names)), runs, big)

    assert estimate("help") == 0
    assert estimate("ready", runs=3, big=9) == 3 * estimate("ready")
    assert estimate("ready-64", runs=9, big=2) == 2 * estimate("ready-64")
    assert estimate("ready", "ready-64") == estimate("ready") + estimate("ready-64")


def test_a_value_that_nobody_wants_is_not_kept() -> None:
    results = Results(frozenset({"dns"}))
    ready, dns = (next(m for m in MEASURES if m.name == name) for name in ("ready", "dns"))
    record = results.record(PLEXCTL, 1)

    record.add(ready, 5.0)
    record.add(dns, 9.0)

    assert [sample.measure for sample in results.samples] == ["dns"]


def test_a_failure_is_that_of_what_was_not_reached() -> None:
    results = Results(frozenset({"ready", "dns"}))
    ready, dns = (next(m for m in MEASURES if m.name == name) for name in ("ready", "dns"))
    record = results.record(FLOOR, 2)

    record.add(ready, 5.0)
    record.failed((ready, dns), PlexError("no answer", details=("code 3",)))

    (failure,) = results.failures
    assert (failure.measure, failure.side, failure.round) == ("dns", FLOOR, 2)
    assert failure.error == "no answer\ncode 3"


@pytest.mark.parametrize("words", [["--runs", "0"], ["--only", "nothing"], ["--all", "--quick"]])
def test_wrong_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)

    assert ended.value.code == 2
    assert "usage: bin/bench" in capsys.readouterr().err
