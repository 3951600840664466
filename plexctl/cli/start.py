"""How a process of plexctl starts: its streams and its signals."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType

from plexctl.errors import Interrupted


def start() -> None:
    """Open the standard streams that the caller has closed, and turn signals into Interrupted."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # `plexctl list >&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot encode "✓" shows "?".
            stream.reconfigure(errors="replace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)
