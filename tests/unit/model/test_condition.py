"""Waits, with a clock of the test."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from plexctl.errors import PlexError
from plexctl.model.condition import Clock, Condition, Observation, wait


@dataclass
class Watch:
    """A clock that only goes on while someone sleeps."""

    time: float = 100.0
    slept: int = 0

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += 1

    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self.sleep)


def test_a_condition_that_holds_already_needs_no_sleep() -> None:
    watch = Watch()
    seen = wait(Condition("x", lambda: Observation(True, "there"), deadline=0), watch.clock())
    assert seen.what == "there"
    assert watch.slept == 0


def test_a_wait_ends_as_soon_as_it_holds() -> None:
    watch = Watch()
    condition = Condition("x", lambda: Observation(watch.time >= 103), deadline=60, every=0.5)
    wait(condition, watch.clock())
    assert watch.time == 103


def test_a_wait_that_runs_out_reports_the_last_observation() -> None:
    watch = Watch()
    asked: list[float] = []

    def explain() -> tuple[str, ...]:
        asked.append(watch.time)
        return ("kubelet.service: failed",)

    condition = Condition(
        "demo2 is Ready",
        lambda: Observation(False, f"NotReady at {watch.time:.0f}"),
        deadline=2,
        every=1,
        explain=explain,
        hint="plexctl logs demo2",
    )
    with pytest.raises(PlexError) as caught:
        wait(condition, watch.clock())
    assert str(caught.value) == "timed out after 2 s waiting until demo2 is Ready"
    assert caught.value.details == ("last observed: NotReady at 102", "kubelet.service: failed")
    assert caught.value.hint == "plexctl logs demo2"
    assert asked == [102]


def test_the_last_probe_is_after_the_last_sleep() -> None:
    """A condition that becomes true at the deadline holds."""
    watch = Watch()
    wait(Condition("x", lambda: Observation(watch.time >= 102), deadline=2, every=2), watch.clock())
    assert watch.slept == 1


def test_an_error_of_the_probe_ends_the_wait() -> None:
    def probe() -> Observation:
        raise PlexError("the host is gone")

    with pytest.raises(PlexError, match="the host is gone"):
        wait(Condition("x", probe, deadline=60), Watch().clock())
