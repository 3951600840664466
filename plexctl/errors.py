"""Errors for the user: what is wrong, what was observed, and what to do next."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the process."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3


class PlexError(Exception):
    """An error that the user can act on.

    `summary` is one line, `details` are further lines (what was observed last), `hint` is what to
    do next. The command line prints it without a traceback.
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
    """Wrong usage, for example the name of a plex that does not exist."""

    exit_code = ExitCode.USAGE


class UnreachableHostError(PlexError):
    """A host does not answer, whatever the call."""


class Interrupted(BaseException):
    """A signal to stop. Not a KeyboardInterrupt, for which typer would end without a message."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__("interrupted")  # the text in the run's journal
        self.number = number


_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that change a terminal, hide text, or cannot be printed; not tab and newline."""


def visible(text: str) -> str:
    """`text` for a terminal: control characters as escapes, such as \\x1b."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_line(text: str) -> str:
    """`text` on one line of a terminal: newlines and tabs are escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a configuration file. `line` is 1-based; `field` is a dotted path."""

    file: Path
    line: int
    field: str
    message: str
    hint: str | None = None


class ConfigError(PlexError):
    """All problems of all configuration files of a lab."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"the configuration has {count} problem{'s' if count != 1 else ''}")
