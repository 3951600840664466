"""Progress on a terminal: steps under way with their seconds, and how far each node is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.markup import escape
from rich.text import Text

from plexctl.model.events import (
    Event,
    Marked,
    Noted,
    Outcome,
    StepBegan,
    StepEnded,
    StepWentOn,
)
from plexctl.render.lines import SIGNS, duration

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PER_SECOND = 8
BAR = 16
STYLES = {Outcome.CHANGED: "green", Outcome.UNCHANGED: "dim", Outcome.FAILED: "bold red"}


@dataclass(slots=True)
class _Step:
    began: float  # by the clock of this module
    text: str
    done: float | None = None


class Live:
    """The lines at the foot of a terminal. What is over scrolls up above them and stays."""

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        self._verbose = verbose
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=False)
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._nodes: dict[str, dict[str, float]] = {}
        # Standard output is for the answer alone: nothing of it is drawn here.
        self._live = RichLive(
            console=self._console,
            refresh_per_second=PER_SECOND,
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
                case StepEnded(_, title):
                    self._steps.pop(title, None)
                    line = _ended(event)
                case Marked(at, node, what):
                    self._nodes.setdefault(node, {})[what] = at
                    if self._verbose:
                        line = Text(f"  {node} {what} at {duration(at)}", style="dim")
                case Noted(_, text):
                    line = Text.from_markup(f"[yellow]note:[/] {escape(text)}")
        if not self._live.is_started:
            self._live.start()
        if line is not None:
            self._console.print(line)
            self._live.refresh()  # else a step that has ended would stay for a moment

    def close(self) -> None:
        """Remove the lines of what was under way."""
        self._live.stop()

    def picture(self) -> Group:
        """The lines as they are now; never more than the terminal has."""
        with self._lock:
            now = time.monotonic()
            lines = [self._step(title, step, now) for title, step in self._steps.items()]
            room = self._console.height - len(lines) - 1
            if lines:
                lines += self._each_node() if len(self._nodes) <= room else [self._all_nodes()]
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        return Group(*lines[: self._console.height - 1])

    def _step(self, title: str, step: _Step, now: float) -> Text:
        seconds = now - step.began
        frame = FRAMES[int(now * PER_SECOND) % len(FRAMES)]
        line = Text(no_wrap=True).append(f"{frame} ", "cyan").append(title)
        line.append(f" {duration(seconds)}", "dim")
        if step.done is not None:
            full = round(BAR * min(1.0, max(0.0, step.done)))
            line.append(f" {'━' * full}", "cyan").append("━" * (BAR - full), "dim")
            line.append(f" {step.done:.0%}")
        return line.append(f" {step.text}" if step.text else "", "dim")

    def _each_node(self) -> list[Text]:
        width = max(map(len, self._nodes), default=0)
        return [
            Text(f"  {name:{width}} {' '.join(marks)} ", "dim", no_wrap=True).append(
                duration(max(marks.values())), "default"
            )
            for name, marks in sorted(self._nodes.items(), key=lambda node: (len(node[0]), node[0]))
        ]

    def _all_nodes(self) -> Text:
        counts: dict[str, int] = {}
        for marks in self._nodes.values():
            for what in marks:
                counts[what] = counts.get(what, 0) + 1
        told = ", ".join(f"{number} {what}" for what, number in counts.items())
        return Text(f"  {len(self._nodes)} nodes: {told}", "dim", no_wrap=True)


def _ended(event: StepEnded) -> Text:
    line = Text().append(f"{SIGNS[event.outcome]} ", STYLES[event.outcome]).append(event.title)
    if event.text and event.outcome is not Outcome.FAILED:
        line.append(f": {event.text}")
    return line.append(f" {duration(event.seconds)}", "dim")
