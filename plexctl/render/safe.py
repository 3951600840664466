"""Text for the terminal, without control sequences.

A name of a file, lab or program may contain an escape sequence that changes the terminal, or hides
text. Answers, tables and progress go through here; control characters are shown as escapes such as
\\x1b.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plexctl.errors import visible_line

if TYPE_CHECKING:  # few runs of `plan` have events
    from plexctl.model.events import Event, Listener


def safe_listener(show: Callable[[Event], None]) -> Listener:
    """`show`, which gets all texts of an event on one line and without control characters."""
    return lambda event: show(safe_event(event))


def safe_event(event: Event) -> Event:
    """The event with visible texts. Keys of changes are names of plexctl's own objects."""
    texts: dict[str, Any] = {
        field.name: visible_line(text)
        for field in dataclasses.fields(event)
        if type(text := getattr(event, field.name)) is str
    }
    return dataclasses.replace(event, **texts)
