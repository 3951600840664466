"""Progress on a terminal: running steps with their seconds, and the state of each node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.markup import escape
from rich.text import Text

from plexctl.model.events import (
    Event,
    Intended,
    Marked,
    Noted,
    Outcome,
    PartWentOn,
    StepBegan,
    StepEnded,
    StepWentOn,
)
from plexctl.render.lines import SIGNS, duration
from plexctl.render.live_nodes import Nodes

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PER_SECOND = 8
BAR = 16
REST = 16
"""Columns that are reserved after a title; titles of up to WIDE columns are never cut."""

WIDE = 30
STYLES = {Outcome.CHANGED: "green", Outcome.UNCHANGED: "dim", Outcome.FAILED: "bold red"}


@dataclass(slots=True)
class _Part:
    """One of several things that a step waits for, for example a node or an app."""

    doing: str
    outcome: Outcome | None
    since: float


@dataclass(slots=True)
class _Step:
    began: float  # time.monotonic()
    text: str
    done: float | None = None
    parts: dict[str, _Part] = field(default_factory=dict)


class Live:
    """Lines at the bottom of a terminal. Ended steps scroll up above them and stay."""

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        self._verbose = verbose
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=False)
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._nodes = Nodes()
        # Standard output is for the answer alone, so it is not redirected. The library's own thread
        # may refresh between the printing of a line and the redrawing of the lines below, and then
        # erases lines that are not its own: therefore this class refreshes.
        self._drawing = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._live = self._lines()

    def _lines(self) -> RichLive:
        return RichLive(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self.picture,
        )

    def show(self, event: Event) -> None:
        line = None
        with self._lock:
            match event:
                case StepBegan(_, title, expect):
                    self._steps[title] = _Step(time.monotonic(), expect)
                case StepWentOn(_, title, text, done) if title in self._steps:
                    self._steps[title].text, self._steps[title].done = text, done
                case PartWentOn(_, title, name, doing, outcome) if title in self._steps:
                    self._steps[title].parts[name] = _Part(doing, outcome, time.monotonic())
                case StepEnded(_, title):
                    self._steps.pop(title, None)
                    line = _ended(event)
                case Intended(_, changes):
                    self._nodes.intend(changes, time.monotonic())
                case Marked(at, node, what):
                    self._nodes.mark(node, what, at, time.monotonic())
                    if self._verbose:
                        line = Text(f"  {node} {what} at {duration(at)}", style="dim")
                case Noted(_, text):
                    line = Text.from_markup(f"[yellow]note:[/] {escape(text)}")
        with self._drawing:
            if not self._live.is_started:
                self._live.start()
                self._ticker.start()
            if line is not None:
                self._live.refresh()  # without it, the ended step stays below
                self._console.print(line)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Erase the lines of running steps, and draw nothing until the block ends."""
        with self._drawing:
            shown = self._live.is_started
            self._live.stop()
            try:
                yield
            finally:
                # The old one would erase as many lines as it had drawn: those of the question.
                self._live = self._lines()
                if shown:
                    self._live.start()

    def close(self) -> None:
        """Erase the lines of running steps."""
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._live.stop()

    def _tick(self) -> None:
        while not self._over.wait(1 / PER_SECOND):
            with self._drawing:
                self._live.refresh()

    def picture(self) -> Group:
        """The present lines, at most as many as the terminal has."""
        with self._lock:
            now = time.monotonic()
            lines = []
            for title, step in self._steps.items():
                lines += [self._step(title, step, now), *self._parts(step, now)]
            if lines:
                lines += self._nodes.lines(now, self._console.height - len(lines) - 1)
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        return Group(*lines[: self._console.height - 1])

    def _step(self, title: str, step: _Step, now: float) -> Text:
        seconds = now - step.began
        frame = FRAMES[int(now * PER_SECOND) % len(FRAMES)]
        name = Text(title)  # the duration matters more than the end of a long title
        name.truncate(max(WIDE, self._console.width - REST), overflow="ellipsis")
        line = Text(no_wrap=True).append(f"{frame} ", "cyan").append(name)
        line.append(f" {duration(seconds)}", "dim")
        if step.done is not None:
            full = round(BAR * min(1.0, max(0.0, step.done)))
            line.append(f" {'━' * full}", "cyan").append("━" * (BAR - full), "dim")
            line.append(f" {step.done:.0%}")
        return line.append(f" {step.text}" if step.text else "", "dim")

    def _parts(self, step: _Step, now: float) -> list[Text]:
        """A line for each part. Ended parts are last: there may be no room for them."""
        lines = []
        width = max(map(len, step.parts), default=0)
        for name, part in sorted(step.parts.items(), key=lambda one: one[1].outcome is not None):
            sign, style = (
                (SIGNS[part.outcome], STYLES[part.outcome]) if part.outcome else (">", "cyan")
            )
            line = Text(no_wrap=True).append(f"  {sign} ", style).append(f"{name:{width}} ")
            line.append(part.doing, "" if part.outcome is not Outcome.FAILED else "red")
            if part.outcome is None:
                line.append(f" {duration(now - part.since)}", "dim")
            lines.append(line)
        return lines


def _ended(event: StepEnded) -> Text:
    line = Text().append(f"{SIGNS[event.outcome]} ", STYLES[event.outcome]).append(event.title)
    if event.text and event.outcome is not Outcome.FAILED:
        line.append(f": {event.text}")
    return line.append(f" {duration(event.seconds)}", "dim")
