"""Progress on a terminal: what is on the screen at one instant."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from select import select

import pytest
from rich.console import Console

from plexctl.model.events import (
    Intended,
    Marked,
    Outcome,
    PartWentOn,
    StepBegan,
    StepEnded,
    StepWentOn,
)
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


def intended(view: Live, action: str, *names: str) -> None:
    view.show(Intended(0, {f"instance/local/{name}": f"{action}: why" for name in names}))


def test_steps_show_their_share_and_nodes_their_state(screen: io.StringIO) -> None:
    view = live(screen)
    intended(view, "create", "demo10", "demo1", "demo2")
    view.show(StepBegan(0, "instances", ""))
    view.show(StepWentOn(0, "instances", "pushing", 0.5))
    for node, what, at in (
        ("demo1", "creating", 0.4),
        ("demo1", "created", 0.6),
        ("demo2", "started", 1),
        ("demo2", "pushed", 1),
    ):
        view.show(Marked(at, node, what))
    try:
        assert shown(view) == [
            " instances ━━━━━━━━━━━━━━━━ 50% pushing",
            "  > demo1  receives files",
            "  > demo2  boots",
            "  · demo10 waits",
        ]
    finally:
        view.close()


def test_parts_of_a_step_have_a_line_each_and_ended_parts_come_last(
    screen: io.StringIO,
) -> None:
    view = live(screen, height=7)
    intended(view, "create", "demo1")
    view.show(StepBegan(0, "the apps", ""))
    for name, doing, outcome in (
        ("secrets", "progressing", None),
        ("infra", "waiting", None),
        ("secrets", "ready", Outcome.CHANGED),
        ("web", "no such image", Outcome.FAILED),
    ):
        view.show(PartWentOn(0, "the apps", name, doing, outcome))
    try:
        assert shown(view) == [
            " the apps",
            "  > infra   waiting",
            "  ✓ secrets ready",
            "  ✗ web     no such image",
            "  · demo1 waits",
        ]
    finally:
        view.close()


def test_nodes_that_are_replaced_deleted_ready_or_unchanged(screen: io.StringIO) -> None:
    view = live(screen)
    intended(view, "replace", "demo2", "demo3")
    intended(view, "delete", "demo4", "demo5")
    view.show(StepBegan(0, "nodes", ""))
    for node, *marks in (
        ("demo1", "registered", "ready"),
        ("demo2", "leaving", "gone"),
        ("demo3", "leaving", "gone", "creating", "started", "registered", "ready", "dns"),
        ("demo4", "leaving"),
        ("demo5", "leaving", "gone"),
    ):
        for what in marks:
            view.show(Marked(7.4, node, what))
    try:
        assert shown(view)[1:] == [
            "  · demo2 waits",
            "  ✓ demo3 Ready           at",
            "  > demo4 is deleted",
            "  ✓ demo5 gone            at",
        ]
    finally:
        view.close()


def test_with_more_nodes_than_lines_busy_nodes_are_shown(screen: io.StringIO) -> None:
    view = live(screen, height=9)
    intended(view, "create", *(f"demo{number}" for number in range(64)))
    view.show(StepBegan(0, "instances", ""))
    for number in range(20):
        view.show(Marked(0, f"demo{number}", "ready" if number < 12 else "started"))
    try:
        assert shown(view)[1:] == [
            *(f"  > demo{number} boots" for number in range(12, 18)),
            "  and 58 more: 12 Ready, 2 boots, 44 waits",
        ]
        for number in range(64):
            view.show(Marked(0, f"demo{number}", "ready"))
        assert shown(view)[1:] == ["  64 nodes: 64 Ready"]
    finally:
        view.close()


def test_lines_fit_the_height_and_width_of_the_terminal(screen: io.StringIO) -> None:
    view = live(screen, height=5)
    for number in range(20):
        view.show(StepBegan(0, f"depot {number} " + "x" * 100, ""))
    try:
        lines = view.picture().renderables
        assert len(lines) == 4
        assert all(len(str(line)) <= 60 for line in lines)
    finally:
        view.close()


def test_a_long_title_is_cut_before_its_seconds_are(screen: io.StringIO) -> None:
    view = live(screen)
    view.show(StepBegan(0, f"take {', '.join(f'demo{n}' for n in range(12))} out", ""))
    try:
        (line,) = view.picture().renderables
        assert re.fullmatch(r"[⠀-⣿] take demo0, .*… 0\.\d s", str(line))
        assert len(str(line)) <= 60
    finally:
        view.close()


def test_ended_steps_stay_and_running_steps_are_erased(screen: io.StringIO) -> None:
    view = live(screen, verbose=True)
    view.show(StepBegan(0, "instances", ""))
    view.show(Marked(1.2, "demo1", "created"))
    view.show(StepEnded(2, "instances", Outcome.CHANGED, "1 created [x]", 2.0))
    assert shown(view) == []
    view.close()
    last = ESCAPES.sub("", screen.getvalue())
    assert "demo1 created at 1.2 s" in last
    assert "✓ instances: 1 created [x] 2.0 s" in last


STORY = """
import sys, time
from plexctl.model.events import Intended, Marked, Noted, Outcome, StepBegan, StepEnded
from plexctl.render.progress import progress

names = [f"demo{n + 1}" for n in range(65)]
with progress() as show:
    show(Intended(0, {f"instance/local/{name}": "create: missing" for name in names}))
    show(StepBegan(0, "instances", ""))
    for name in names:
        show(Marked(1.0, name, "creating"))
    sys.stdin.readline()  # a picture was drawn
    show(Noted(1.2, "a limit is low"))
    show(StepEnded(2.0, "instances", Outcome.CHANGED, "65 created", 2.0))
print("the answer")
"""


class Screen:
    """A terminal that knows the few things that are drawn with."""

    def __init__(self) -> None:
        self.rows, self.y, self.x, self.tallest = [""], 0, 0, 0

    def feed(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\r\n\x1b]+", text):
            match token:
                case "\r":
                    self.x = 0
                case "\n":
                    self.y += 1
                    self.rows += [""] * (self.y + 1 - len(self.rows))
                case "\x1b[1A":
                    self.y -= 1
                    assert self.y >= 0
                case "\x1b[2K":
                    self.rows[self.y] = ""
                case _ if not token.startswith("\x1b"):
                    row = self.rows[self.y]
                    self.rows[self.y] = (
                        f"{row[: self.x]:{self.x}}{token}{row[self.x + len(token) :]}"
                    )
                    self.x += len(token)
            self.tallest = max(self.tallest, sum(map(bool, self.rows)))


QUESTION = """
import sys, time
from plexctl.model.events import Outcome, StepBegan, StepEnded
from plexctl.render.progress import progress

with progress() as show:
    show(StepBegan(0, "bake", ""))
    show(StepBegan(0, "fetch", ""))
    sys.stdin.readline()
    with show.paused():
        print("Trust them?", file=sys.stderr)
        time.sleep(0.5)  # the time of several pictures
    sys.stdin.readline()
    show(StepEnded(2.0, "fetch", Outcome.CHANGED, "", 2.0))
    show(StepEnded(2.0, "bake", Outcome.CHANGED, "", 2.0))
print("the answer")
"""


def test_a_question_stays_on_the_terminal() -> None:
    text, screen = drawn(
        QUESTION,
        lambda text: text.count("bake") > 1,
        lambda text: text.partition("Trust them?")[2].count("bake") > 1,
    )
    between = text.partition("Trust them?")[2].partition("bake")[0]
    assert "fetch" not in between
    assert [row for row in screen.rows if row] == ["Trust them?", "✓ fetch 2.0 s", "✓ bake 2.0 s"]


UNEVENTFUL = """
import sys
from plexctl.render.progress import progress

with progress() as show, show.paused():
    pass
assert "rich" not in sys.modules
print("the answer")
"""


def test_a_command_without_events_loads_nothing_to_draw_with() -> None:
    text, _ = drawn(UNEVENTFUL)
    assert text == ""


def test_lines_on_a_terminal_fit_its_height_and_are_erased_at_the_end() -> None:
    text, screen = drawn(STORY, lambda text: "and 58 more" in text)
    assert "> demo7  is created" in ESCAPES.sub("", text)
    assert "and 58 more: 58 is created" in ESCAPES.sub("", text)
    assert "demo8 " not in text
    assert screen.tallest == 9 + 1  # a picture, and the note above it
    assert [row for row in screen.rows if row] == [
        "note: a limit is low",
        "✓ instances: 65 created 2.0 s",
    ]
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back


def drawn(story: str, *pictures: Callable[[str], bool]) -> tuple[str, Screen]:
    """What a program prints to a terminal of 10 rows, and that terminal.

    The program gets a line of input as soon as what it has printed is the next of `pictures`.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    printed = bytearray()
    with subprocess.Popen(
        [sys.executable, "-c", story],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**environment, "TERM": "xterm"},
    ) as process:
        assert process.stdin
        os.close(theirs)
        awaited = list(pictures)
        with suppress(OSError):  # how a terminal says that its other end is closed
            while select([ours], [], [], 60)[0] and (part := os.read(ours, 65536)):
                printed += part
                while awaited and awaited[0](printed.decode(errors="replace")):
                    awaited.pop(0)
                    process.stdin.write(b"\n")
                    process.stdin.flush()
        assert awaited == []
        answer, _ = process.communicate(timeout=120)
    os.close(ours)
    text, screen = printed.decode(), Screen()
    screen.feed(text)

    assert answer == b"the answer\n"
    return text, screen
