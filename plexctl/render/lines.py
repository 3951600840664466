"""Progress as plain lines, for output that is not a terminal."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TextIO

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

LONG = 2.0
"""Seconds after which a running step is shown, if nothing else was shown about it."""

EVERY = 10.0
"""Seconds between two lines of progress of one step."""

SIGNS: Mapping[str, str] = {Outcome.CHANGED: "✓", Outcome.UNCHANGED: "=", Outcome.FAILED: "✗"}


class Lines:
    """Writes the end of each step, the start of long steps, and from time to time their progress.

    `late` is the number of seconds after which a running step is shown.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False, late: float = LONG) -> None:
        self._stream = stream
        self._verbose = verbose
        self._late = late
        self._lock = threading.Lock()
        self._timers: dict[str, threading.Timer] = {}
        self._written: dict[str, float] = {}  # title -> seconds at its last line

    def show(self, event: Event) -> None:
        with self._lock:
            match event:
                case StepBegan(at, title, expect):
                    self._written[title] = at
                    if expect:
                        self._write(f"  {title}: {expect}")
                    else:
                        self._later(title)
                case StepWentOn(at, title, text, done):
                    if at - self._written.get(title, at) >= EVERY:
                        self._written[title] = at
                        self._write(f"  {title}: {went_on(text, done)}")
                case PartWentOn(at, _, name, doing, outcome):
                    if self._verbose:
                        sign = SIGNS[outcome] if outcome else " "
                        self._write(f"  {sign} {name} {doing} at {duration(at)}")
                case StepEnded(_, title):
                    self._cancel(title)
                    self._write(ended(event))
                case Marked(at, node, what):
                    if self._verbose:
                        self._write(f"  {node} {what} at {duration(at)}")
                case Noted(_, text):
                    self._write(f"note: {text}")

    def close(self) -> None:
        with self._lock:
            for title in tuple(self._timers):
                self._cancel(title)

    def _later(self, title: str) -> None:
        def still() -> None:
            with self._lock:
                if self._timers.pop(title, None) is not None:
                    self._write(f"  {title} …")

        timer = self._timers[title] = threading.Timer(self._late, still)
        timer.daemon = True
        timer.start()

    def _cancel(self, title: str) -> None:
        timer = self._timers.pop(title, None)
        if timer is not None:
            timer.cancel()

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def ended(event: StepEnded) -> str:
    """ "✓ instances: 3 created (2.3 s)". The error shows why a step failed."""
    text = f": {event.text}" if event.text and event.outcome is not Outcome.FAILED else ""
    return f"{SIGNS[event.outcome]} {event.title}{text} ({duration(event.seconds)})"


def went_on(text: str, done: float | None) -> str:
    """ "42%  kube-proxy"."""
    share = f"{done:.0%}  " if done is not None else ""
    return f"{share}{text}".rstrip()


def duration(seconds: float) -> str:
    """ "0.3 s", "47 s", "6 min 5 s"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
