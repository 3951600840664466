"""Waiting has a name and an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from plexctl.errors import PlexError


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a condition found: whether it holds, and in words what was there."""

    holds: bool
    what: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that will be true by itself. `deadline` and `every` are seconds.

    `explain` is asked once when the time is over, for what was last seen on the node (unit states,
    last log lines); `hint` says how to look further, or finds it out then.
    """

    what: str  # "the API of demo answers"
    probe: Callable[[], Observation]
    deadline: float
    every: float = 0.1
    explain: Callable[[], tuple[str, ...]] = tuple
    hint: str | Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, passed in so that a test can own it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait(condition: Condition, clock: Clock | None = None) -> Observation:
    """Wait until `condition` holds; PlexError with what was last seen when its time is over."""
    clock = clock or Clock()
    end = clock.now() + condition.deadline
    while True:
        seen = condition.probe()
        if seen.holds:
            return seen
        if clock.now() >= end:
            raise PlexError(
                f"{condition.what}: not within {condition.deadline:.0f} s",
                details=(
                    *((f"last seen: {seen.what}",) if seen.what else ()),
                    *condition.explain(),
                ),
                hint=condition.hint() if callable(condition.hint) else condition.hint,
            )
        clock.sleep(condition.every)
