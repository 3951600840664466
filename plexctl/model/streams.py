"""The input and output of a program on a node, while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of this machine, in raw mode, that a program on a node uses as its own."""

    name: str  # as in the variable TERM
    size: Callable[[], tuple[int, int]]  # columns and lines, now
    resized: threading.Event  # set when the size has changed


@dataclass(frozen=True, slots=True)
class Streams:
    """Bytes for a program and from it. With `terminal`, `stderr` stays empty."""

    stdin: int | None  # a file descriptor; None: the program reads an empty input
    stdout: BinaryIO
    stderr: BinaryIO
    terminal: Terminal | None = None
