"""Events of a run: any layer reports them, and the caller chooses the listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """The result of a step. A step that raises has failed."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Step(Protocol):
    """A piece of work that is under way."""

    def progress(self, text: str, done: float | None = None) -> None:
        """Report the current work; `done` is the finished share, 0 to 1, if it is known."""

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None:
        """Report one of several things that the step waits for; with `outcome` once it is over."""

    def end(self, outcome: Outcome, text: str = "") -> None:
        """Report the result. Without this call the step counts as changed."""


class Reporter(Protocol):
    """Takes reports of steps; safe to use from several threads."""

    def step(self, title: str, *, expect: str = "") -> AbstractContextManager[Step]:
        """Open a step. `expect` is the duration of a long one: "about 6 minutes"."""

    def mark(self, node: str, what: str) -> None:
        """Record an instant of a node's life for the timeline: "pushed", "registered"."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a run reports. `at` is seconds since the run began."""

    at: float


@dataclass(frozen=True, slots=True)
class Intended(Event):
    """The changes that a run is about to make: key of an object -> "create: missing"."""

    changes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StepBegan(Event):
    title: str
    expect: str


@dataclass(frozen=True, slots=True)
class StepWentOn(Event):
    title: str
    text: str
    done: float | None


@dataclass(frozen=True, slots=True)
class PartWentOn(Event):
    """One of several things that a step waits for has changed its state, or is over."""

    title: str
    name: str
    doing: str
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    title: str
    outcome: Outcome
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Marked(Event):
    """An instant of a node's life."""

    node: str
    what: str


@dataclass(frozen=True, slots=True)
class Phased(Event):
    """The state of a phase of a run has changed. `state`: "began", "done", "failed", "undone"."""

    phase: str  # "freeze"
    state: str


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Information for the user that is no failure."""

    text: str


Listener = Callable[[Event], None]
"""Shows events; called from several threads, one at a time."""
