"""How any layer says what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What a step did. A step that raises has failed."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Step(Protocol):
    """A piece of work that is under way."""

    def progress(self, text: str, done: float | None = None) -> None:
        """Say what is being done now; `done` is the finished share, 0 to 1, where it is known."""

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None:
        """Say what one of several things does that are waited for; `outcome` when it is over."""

    def end(self, outcome: Outcome, text: str = "") -> None:
        """Say what the step did. Without it a step counts as changed."""


class Reporter(Protocol):
    """Where steps are told; safe to use from several threads."""

    def step(self, title: str, *, expect: str = "") -> AbstractContextManager[Step]:
        """Open a step. `expect` says beforehand that it takes long: "about 6 minutes"."""

    def mark(self, node: str, what: str) -> None:
        """Record an instant of a node's life for the timeline: "pushed", "registered"."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a run told. `at` is seconds since the run began."""

    at: float


@dataclass(frozen=True, slots=True)
class Intended(Event):
    """What is going to be done, told before it is: key of an object -> "create: missing"."""

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
    """One of several things that a step waits for does something else now, or is over."""

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
class Noted(Event):
    """Something a user should know that is no failure."""

    text: str


Listener = Callable[[Event], None]
"""Shows events; called from several threads, one at a time."""
