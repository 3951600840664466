"""A reporter for tests that do not check what is reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.model.events import Outcome


class NullReporter:
    """A reporter and its steps; keeps the titles."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[NullReporter]:
        self.titles.append(title)
        yield self

    def progress(self, text: str, done: float | None = None) -> None: ...

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None: ...

    def end(self, outcome: Outcome, text: str = "") -> None: ...

    def mark(self, node: str, what: str) -> None: ...
