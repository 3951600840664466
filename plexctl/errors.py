"""The one kind of error that reaches a user: what is wrong, what was seen, and what to do."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What the process ends with; documented in the README."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3


class PlexError(Exception):
    """Something a user can act on.

    `summary` is one line, `details` are further lines (what was last seen), `hint` says what to do
    next. Raised everywhere in the package; the command line prints it without a traceback.
    """

    exit_code = ExitCode.FAILED

    def __init__(
        self, summary: str, *, details: Iterable[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = tuple(details)
        self.hint = hint


class UsageError(PlexError):
    """The command line asks for something that cannot be, as an unknown plex or node."""

    exit_code = ExitCode.USAGE


class UnreachableHostError(PlexError):
    """There is no server, or it does not answer any more, whatever is asked of it."""


class Interrupted(BaseException):
    """A signal asks to stop. No KeyboardInterrupt: typer would end without a word."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__("interrupted")  # what the run's journal says of it
        self.number = number


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one configuration file. `line` is 1-based; `field` is a dotted path."""

    file: Path
    line: int
    field: str
    message: str
    hint: str | None = None


class ConfigError(PlexError):
    """All problems of all configuration files of a lab, found in one reading."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"the configuration has {count} problem{'s' if count != 1 else ''}")
