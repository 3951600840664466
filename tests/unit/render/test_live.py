"""Progress on a terminal: what is on the screen at one instant."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from plexctl.model.events import Marked, Outcome, StepBegan, StepEnded, StepWentOn
from plexctl.render.live import Live

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


def live(screen: io.StringIO, *, height: int = 12, verbose: bool = False) -> Live:
    console = Console(file=screen, force_terminal=True, width=60, height=height, color_system=None)
    return Live(verbose=verbose, console=console)


def shown(view: Live) -> list[str]:
    """The lines of the picture, the spinner and the seconds left out."""
    lines = [str(line).rstrip() for line in view.picture().renderables]
    return [re.sub(r"^[⠀-⣿]|(?<= )\d+\.\d s ?", "", line).rstrip() for line in lines]


def test_steps_with_their_share_and_nodes_with_their_marks(screen: io.StringIO) -> None:
    view = live(screen)
    view.show(StepBegan(0, "instances", ""))
    view.show(StepWentOn(0, "instances", "pushing", 0.5))
    for node, what, at in (
        ("demo1", "created", 0.4),
        ("demo1", "pushed", 0.6),
        ("demo10", "created", 1),
    ):
        view.show(Marked(at, node, what))
    try:
        assert shown(view) == [
            " instances ━━━━━━━━━━━━━━━━ 50% pushing",
            "  demo1  created pushed",
            "  demo10 created",
        ]
    finally:
        view.close()


def test_more_nodes_than_lines_are_counted(screen: io.StringIO) -> None:
    view = live(screen, height=24)
    view.show(StepBegan(0, "instances", ""))
    for number in range(64):
        view.show(Marked(0, f"demo{number}", "created"))
        if number < 5:
            view.show(Marked(0, f"demo{number}", "ready"))
    try:
        assert shown(view)[1:] == ["  64 nodes: 64 created, 5 ready"]
    finally:
        view.close()


def test_never_more_lines_than_the_terminal_has_and_none_too_wide(screen: io.StringIO) -> None:
    view = live(screen, height=5)
    for number in range(20):
        view.show(StepBegan(0, f"depot {number} " + "x" * 100, ""))
    try:
        lines = view.picture().renderables
        assert len(lines) == 4
        assert all(len(str(line)) <= 60 for line in lines)
    finally:
        view.close()


def test_what_has_ended_stays_and_what_was_under_way_goes(screen: io.StringIO) -> None:
    view = live(screen, verbose=True)
    view.show(StepBegan(0, "instances", ""))
    view.show(Marked(1.2, "demo1", "created"))
    view.show(StepEnded(2, "instances", Outcome.CHANGED, "1 created [x]", 2.0))
    assert shown(view) == []
    view.close()
    last = ESCAPES.sub("", screen.getvalue())
    assert "demo1 created at 1.2 s" in last
    assert "✓ instances: 1 created [x] 2.0 s" in last
