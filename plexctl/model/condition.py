"""Waiting for something that becomes true by itself: each wait has a name and an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from plexctl.errors import PlexError


class TimedOutError(PlexError):
    """A condition did not hold within its deadline."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a condition: whether it holds, and a description of what was observed."""

    holds: bool
    what: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that becomes true by itself. `deadline` and `every` are seconds.

    `what` is a clause that can follow "wait until". `explain` is called once after a time-out; it
    returns lines for the error's details (states of units, last lines of logs). `hint` is the
    error's hint, or computes it at that moment.
    """

    what: str  # "the API of demo answers"
    probe: Callable[[], Observation]
    deadline: float
    every: float = 0.1
    explain: Callable[[], tuple[str, ...]] = tuple
    hint: str | Callable[[], str] | None = None

    @property
    def title(self) -> str:
        """The title of a step that waits for this condition."""
        return f"wait until {self.what}"


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as a parameter: tests pass a clock of their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait(condition: Condition, clock: Clock | None = None) -> Observation:
    """Probe until `condition` holds; returns the observation with which it does.

    TimedOutError after the deadline, with the last observation. An error of the probe ends the
    wait at once.
    """
    clock = clock or Clock()
    end = clock.now() + condition.deadline
    while True:
        observed = condition.probe()
        if observed.holds:
            return observed
        if clock.now() >= end:
            raise TimedOutError(
                f"timed out after {condition.deadline:.0f} s waiting until {condition.what}",
                details=(
                    *((f"last observed: {observed.what}",) if observed.what else ()),
                    *condition.explain(),
                ),
                hint=condition.hint() if callable(condition.hint) else condition.hint,
            )
        clock.sleep(condition.every)
