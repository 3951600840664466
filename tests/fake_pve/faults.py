"""Faults that a test injects between a client and the API."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Fault:
    """A planned failure of `count` requests; status 0 is a closed connection."""

    method: str
    path: re.Pattern[str]
    status: int
    reason: str
    count: int
    after: bool


@dataclass(slots=True)
class Faults:
    """Planned failures in order, and whether the server is frozen."""

    planned: list[Fault] = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.running.set()

    def plan(
        self, method: str, path: re.Pattern[str], status: int, reason: str, count: int, after: bool
    ) -> None:
        """Add a failure."""
        self.planned.append(Fault(method.upper(), path, status, reason, count, after))

    def take(self, method: str, path: str) -> Fault | None:
        """The failure that this request meets, used up by one."""
        for fault in self.planned:
            if fault.method in {method, "ANY"} and fault.path.search(path):
                fault.count -= 1
                if fault.count == 0:
                    self.planned.remove(fault)
                return fault
        return None

    def freeze(self) -> None:
        """Answer nothing."""
        self.running.clear()

    def thaw(self) -> None:
        """Answer again."""
        self.running.set()
