"""Words for faults of configuration files."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class Fault(ValueError):  # noqa: N818 - of a file, not of the program
    """Raised by a parser of one value: what is wrong with it, and what would be right."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def describe(value: object) -> str:
    """A value of YAML in words, for messages."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case int() | float():
            return str(getattr(value, "text", value))
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"{type(value).__name__} {value}"


def did_you_mean(given: object, known: Collection[str]) -> str | None:
    """A hint with the known name nearest to `given`, else all names where they are few."""
    near = difflib.get_close_matches(str(given), sorted(known), n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    if 0 < len(known) <= 16:
        return "known are " + ", ".join(f"`{name}`" for name in sorted(known))
    return None
