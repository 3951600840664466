"""Faults of configuration files, and texts for their messages."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from plexctl.errors import visible


class Fault(ValueError):  # noqa: N818 - of a file, not of the program
    """Raised by the parser of a value: why the value is wrong, and a hint how to correct it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def describe(value: object) -> str:
    """A value of YAML, as messages quote it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"'{visible(value)}'"
        case int() | float():
            return str(getattr(value, "text", value))
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"{type(value).__name__} {value}"


def did_you_mean(given: object, known: Collection[str]) -> str | None:
    """A hint with the known name most similar to `given`, else with all names if they are few."""
    if similar := difflib.get_close_matches(str(given), sorted(known), n=1):
        return f"did you mean `{similar[0]}`?"
    if 0 < len(known) <= 16:
        names = ", ".join(f"`{name}`" for name in sorted(known))
        return f"use one of {names}" if len(known) > 1 else f"use {names}"
    return None
