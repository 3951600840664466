"""Workers start after their master, and not all of them before the API answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from plexctl.model.condition import Clock, Condition, Observation, TimedOutError
from plexctl.provision.start_gate import StartGate

from .test_diff import instance


@dataclass
class Time:
    """A clock that only moves when somebody sleeps."""

    now: float = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


def after(time: Time, seconds: float, what: str, deadline: float) -> Condition:
    return Condition(what, lambda: Observation(time.now >= seconds), deadline)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def gate(time: Time) -> StartGate:
    """The master starts after 2 s, and the API answers after 5 s."""
    return StartGate(
        early=frozenset({"demo2"}),
        api_answers=after(time, 5, "the API of demo answers", 120),
        master_started=after(time, 2, "demo1 is started", 10),
        clock=time.clock(),
    )


def test_a_master_starts_at_once(time: Time, gate: StartGate) -> None:
    gate.wait(instance(1))

    assert time.now == 0


def test_an_early_worker_waits_until_its_master_is_started(time: Time, gate: StartGate) -> None:
    gate.wait(instance(2))

    assert time.now == pytest.approx(2, abs=0.2)


def test_a_further_worker_waits_until_the_api_answers(time: Time, gate: StartGate) -> None:
    gate.wait(instance(3))

    assert time.now == pytest.approx(5, abs=0.2)


def test_an_early_worker_of_a_running_master_starts_at_once(time: Time, gate: StartGate) -> None:
    replace(gate, master_started=None).wait(instance(2))

    assert time.now == 0


def test_a_master_that_does_not_start_holds_workers_back_for_a_limited_time(
    time: Time, gate: StartGate
) -> None:
    never = after(time, 1000, "demo1 is started", 10)
    replace(gate, master_started=never).wait(instance(2))

    assert time.now == pytest.approx(10, abs=0.2)


def test_an_api_that_does_not_answer_is_an_error(time: Time, gate: StartGate) -> None:
    never = after(time, 1000, "the API of demo answers", 120)

    with pytest.raises(TimedOutError, match="until the API of demo answers"):
        replace(gate, api_answers=never).wait(instance(3))
