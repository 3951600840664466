"""How any layer says what it is doing, without knowing who listens."""

from __future__ import annotations

from contextlib import AbstractContextManager
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

    def end(self, outcome: Outcome, text: str = "") -> None:
        """Say what the step did. Without it a step counts as changed."""


class Reporter(Protocol):
    """Where steps are told; safe to use from several threads."""

    def step(self, title: str, *, expect: str = "") -> AbstractContextManager[Step]:
        """Open a step. `expect` says beforehand that it takes long: "about 6 minutes"."""

    def mark(self, node: str, what: str) -> None:
        """Record an instant of a node's life for the timeline: "pushed", "registered"."""
