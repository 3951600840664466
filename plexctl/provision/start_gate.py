"""Limit how many workers start at once: they would slow down an API that is coming up."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from plexctl.model.condition import Clock, Condition, TimedOutError, wait
from plexctl.plan.resources.types import Instance


@dataclass(frozen=True, slots=True)
class StartGate:
    """Holds workers back while their master boots. The master itself never waits.

    Measured on hosts of few processors: more workers than processors beside a master that boots
    keep its API from coming up, and a start takes the longer the more instances start at once.
    """

    early: frozenset[str]  # names of the workers that may start before the API answers
    api_answers: Condition
    master_started: Condition | None = None  # None: the master is not started by this run
    clock: Clock = field(default_factory=Clock)

    def wait(self, instance: Instance) -> None:
        """Return when `instance` may start.

        PlexError if the API does not answer in time. A master that does not start holds nobody
        back for longer than its condition's deadline: that failure is reported by itself.
        """
        if instance.parent is None:
            return
        if instance.name not in self.early:
            wait(self.api_answers, self.clock)
        elif self.master_started:
            with suppress(TimedOutError):
                wait(self.master_started, self.clock)
