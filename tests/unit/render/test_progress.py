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


def lines_of(*events: Event, verbose: bool = False, late: float = 60) -> list[str]:
    stream = io.StringIO()
    lines = Lines(stream, verbose=verbose, late=late)
    for event in events:
        lines.show(event)
    lines.close()
    return stream.getvalue().splitlines()


def test_a_short_step_is_one_line() -> None:
    assert lines_of(
        StepBegan(0, "instances", ""),
        StepWentOn(0.1, "instances", "demo1, demo2", None),
        StepEnded(2.3, "instances", Outcome.CHANGED, "2 created", 2.3),
    ) == ["✓ instances: 2 created (2.3 s)"]


def test_a_step_without_changes_has_a_sign_of_its_own() -> None:
    assert lines_of(StepEnded(0, "bake kube", Outcome.UNCHANGED, "", 0.04)) == [
        "= bake kube (0.0 s)"
    ]


def test_parts_of_a_step_are_shown_if_verbose() -> None:
    parts = [
        PartWentOn(1, "apps", "infra", "progressing", None),
        PartWentOn(2, "apps", "infra", "ready", Outcome.CHANGED),
    ]
    assert lines_of(*parts) == []
    assert lines_of(*parts, verbose=True) == [
        "    infra progressing at 1.0 s",
        "  ✓ infra ready at 2.0 s",
    ]


def test_the_line_of_a_failed_step_does_not_repeat_the_error() -> None:
    failed = StepEnded(75, "bake kube", Outcome.FAILED, "no space left", 75)
    assert lines_of(failed) == ["✗ bake kube (1 min 15 s)"]


def test_a_long_step_is_announced_and_shows_progress_every_ten_seconds() -> None:
    begun = StepBegan(100, "build kubernetes", "about 6 minutes")
    going = [StepWentOn(100 + n, "build kubernetes", f"package {n}", n / 100) for n in range(1, 25)]
    assert lines_of(begun, *going) == [
        "  build kubernetes: about 6 minutes",
        "  build kubernetes: 10%  package 10",
        "  build kubernetes: 20%  package 20",
    ]


def test_a_step_without_progress_is_announced_late() -> None:
    stream = Stream()
    lines = Lines(stream, late=0.01)
    lines.show(StepBegan(0, "all 3 nodes are Ready", ""))
    assert stream.written.wait(60)
    lines.show(StepEnded(3, "all 3 nodes are Ready", Outcome.UNCHANGED, "", 3))
    assert stream.getvalue().splitlines() == [
        "  all 3 nodes are Ready …",
        "= all 3 nodes are Ready (3.0 s)",
    ]


def test_nothing_is_announced_after_the_end() -> None:
    stream = io.StringIO()
    lines = Lines(stream, late=0.2)
    lines.show(StepBegan(0, "instances", ""))
    lines.close()
    before = stream.getvalue()  # nothing, unless the machine is very busy
    threading.Event().wait(0.4)
    assert stream.getvalue() == before


def test_instants_are_shown_if_verbose() -> None:
    marked = Marked(1.24, "demo2", "pushed")
    assert lines_of(marked) == []
    assert lines_of(marked, verbose=True) == ["  demo2 pushed at 1.2 s"]
    assert lines_of(Noted(0, "the run x did not end")) == ["note: the run x did not end"]


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as show:
        show(StepBegan(0, "instances", "an hour"))
        show(StepEnded(0, "instances", Outcome.CHANGED, "", 0))
    with progress() as show:
        show(StepEnded(0, "instances", Outcome.CHANGED, "", 0))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "✓ instances (0.0 s)\n")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (365, "6 min 5 s")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
