"""Progress as plain lines, which is what a log or a pipe gets."""

from __future__ import annotations

import io
import threading

import pytest

from plexctl.model.events import (
    Event,
    Marked,
    Noted,
    Outcome,
    PartWentOn,
    StepBegan,
    StepEnded,
    StepWentOn,
)
from plexctl.render.lines import Lines, duration
from plexctl.render.progress import progress


class Stream(io.StringIO):
    """Text that says when a line has come."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        super().flush()
        self.written.set()


def told(*events: Event, verbose: bool = False, late: float = 60) -> list[str]:
    stream = io.StringIO()
    lines = Lines(stream, verbose=verbose, late=late)
    for event in events:
        lines.show(event)
    lines.close()
    return stream.getvalue().splitlines()


def test_a_short_step_is_one_line() -> None:
    assert told(
        StepBegan(0, "instances", ""),
        StepWentOn(0.1, "instances", "demo1, demo2", None),
        StepEnded(2.3, "instances", Outcome.CHANGED, "2 created", 2.3),
    ) == ["✓ instances: 2 created (2.3 s)"]


def test_a_step_that_did_nothing_says_so() -> None:
    assert told(StepEnded(0, "bake kube", Outcome.UNCHANGED, "", 0.04)) == ["= bake kube (0.0 s)"]


def test_parts_of_a_step_are_told_to_who_wants_all() -> None:
    parts = [
        PartWentOn(1, "apps", "infra", "progressing", None),
        PartWentOn(2, "apps", "infra", "ready", Outcome.CHANGED),
    ]
    assert told(*parts) == []
    assert told(*parts, verbose=True) == [
        "    infra progressing at 1.0 s",
        "  ✓ infra ready at 2.0 s",
    ]


def test_why_a_step_failed_is_left_to_the_error() -> None:
    failed = StepEnded(75, "bake kube", Outcome.FAILED, "no space left", 75)
    assert told(failed) == ["✗ bake kube (1 min 15 s)"]


def test_a_long_step_is_announced_and_goes_on_every_ten_seconds() -> None:
    begun = StepBegan(100, "build kubernetes", "about 6 minutes")
    going = [StepWentOn(100 + n, "build kubernetes", f"package {n}", n / 100) for n in range(1, 25)]
    assert told(begun, *going) == [
        "  build kubernetes: about 6 minutes",
        "  build kubernetes: 10%  package 10",
        "  build kubernetes: 20%  package 20",
    ]


def test_a_step_that_lasts_without_a_word_is_announced_late() -> None:
    stream = Stream()
    lines = Lines(stream, late=0.01)
    lines.show(StepBegan(0, "all 3 nodes are Ready", ""))
    assert stream.written.wait(10)
    lines.show(StepEnded(3, "all 3 nodes are Ready", Outcome.UNCHANGED, "", 3))
    assert stream.getvalue().splitlines() == [
        "  all 3 nodes are Ready …",
        "= all 3 nodes are Ready (3.0 s)",
    ]


def test_nothing_is_announced_after_the_end() -> None:
    stream = io.StringIO()
    lines = Lines(stream, late=0.05)
    lines.show(StepBegan(0, "instances", ""))
    lines.close()
    threading.Event().wait(0.15)
    assert stream.getvalue() == ""


def test_marks_are_for_those_who_ask() -> None:
    marked = Marked(1.24, "demo2", "pushed")
    assert told(marked) == []
    assert told(marked, verbose=True) == ["  demo2 pushed at 1.2 s"]
    assert told(Noted(0, "the run x did not end")) == ["note: the run x did not end"]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tell:
        tell(StepBegan(0, "instances", "an hour"))
        tell(StepEnded(0, "instances", Outcome.CHANGED, "", 0))
    with progress() as tell:
        tell(StepEnded(0, "instances", Outcome.CHANGED, "", 0))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "✓ instances (0.0 s)\n")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (365, "6 min 5 s")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
