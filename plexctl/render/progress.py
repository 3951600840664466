"""Progress of a run on standard error: live on a terminal, else as lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plexctl.model.events import Event, Listener
    from plexctl.render.lines import Lines
    from plexctl.render.live import Live


@dataclass(frozen=True, slots=True)
class Display:
    """A listener. While it is `paused`, a question can be asked on the terminal."""

    listener: Listener
    paused: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(self, event: Event) -> None:
        self.listener(event)


@dataclass(slots=True)
class _Text:
    """Writes lines about events, from the first one on."""

    verbose: bool
    lines: Lines | None = None

    def show(self, event: Event) -> None:
        if self.lines is None:
            from plexctl.render.lines import Lines  # `plan` has no events

            self.lines = Lines(sys.stderr, verbose=self.verbose)
        self.lines.show(event)

    def close(self) -> None:
        if self.lines:
            self.lines.close()


@dataclass(slots=True)
class _Terminal:
    """Shows events on a terminal, from the first one on."""

    verbose: bool
    live: Live | None = None

    def show(self, event: Event) -> None:
        if self.live is None:
            # Importing rich takes 0.1 s, and `plan` has no events.
            from plexctl.render.live import Live

            self.live = Live(verbose=self.verbose)
        self.live.show(event)

    def paused(self) -> AbstractContextManager[None]:
        return self.live.paused() if self.live else nullcontext()

    def close(self) -> None:
        if self.live:
            self.live.close()


@contextmanager
def progress(*, quiet: bool = False, verbose: bool = False) -> Iterator[Display]:
    """Show events until the block ends; with `verbose`, also instants of nodes."""
    if quiet:
        yield Display(lambda event: None)
        return
    from plexctl.render.safe import safe_listener  # `status` has no events

    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        terminal = _Terminal(verbose)
        try:
            yield Display(safe_listener(terminal.show), terminal.paused)
        finally:
            terminal.close()
        return
    text = _Text(verbose)
    try:
        yield Display(safe_listener(text.show))
    finally:
        text.close()
