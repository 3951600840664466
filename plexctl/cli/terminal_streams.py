"""Standard input and output of plexctl as those of a program on a node."""

from __future__ import annotations

import io
import os
import signal
import sys
import termios
import threading
import tty as modes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO

from plexctl.clients.process import modes_restored_at_exit
from plexctl.errors import UsageError
from plexctl.model.command import CommandResult
from plexctl.model.streams import Streams, Terminal


@contextmanager
def own(tty: bool | None, possible: bool) -> Iterator[Streams]:
    """The streams of plexctl itself; with `tty` as a terminal.

    If `tty` is None, they are a terminal if stdin and stdout are one, and the host makes that
    `possible`. The terminal is in raw mode until the block ends, whatever ends it, also SIGKILL.
    UsageError if `tty` and stdin or stdout is no terminal.
    """
    stdin, stdout, stderr = _descriptor(), _plain(sys.stdout), _plain(sys.stderr)
    terminals = stdin is not None and os.isatty(stdin) and sys.stdout.isatty()
    if tty and not terminals:
        raise UsageError("refusing --tty: stdin and stdout must be terminals")
    sys.stdout.flush()
    plain = Streams(stdin, stdout, stderr)
    if stdin is None or not terminals or not (possible if tty is None else tty):
        yield plain
        return
    resized = threading.Event()
    terminal = Terminal(os.environ.get("TERM", "dumb"), lambda: _size(stdout.fileno()), resized)
    # The handler of a signal must not wait: a thread sends the new size.
    before = signal.signal(signal.SIGWINCH, lambda *_: resized.set())
    try:
        with _raw(stdin):
            yield Streams(stdin, stdout, stderr, terminal)
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def captured() -> Iterator[tuple[Streams, Callable[[tuple[str, ...], int], CommandResult]]]:
    """Streams whose output is kept, and a function that returns it with the exit code."""
    stdout, stderr = io.BytesIO(), io.BytesIO()

    def result(argv: tuple[str, ...], code: int) -> CommandResult:
        out, err = (one.getvalue().decode(errors="replace") for one in (stdout, stderr))
        return CommandResult(argv, code, out, err)

    yield Streams(_descriptor(), stdout, stderr), result


def _plain(stream: TextIO) -> BinaryIO:
    """The same file for bytes. A reader that is gone is an error here: the program must end."""
    try:
        return _Whole(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream.buffer


class _Whole(io.FileIO):
    """A file without a buffer that writes everything at once."""

    def write(self, content: Any, /) -> int:
        left = memoryview(content)
        while left:
            left = left[super().write(left) :]
        return len(content)


def _descriptor() -> int | None:
    """Of standard input; None if it is closed."""
    try:
        return sys.stdin.fileno() if sys.stdin is not None else None
    except (OSError, ValueError):
        return None


def _size(descriptor: int) -> tuple[int, int]:
    try:
        columns, lines = os.get_terminal_size(descriptor)
    except OSError:
        return 80, 24
    return (columns, lines) if columns and lines else (80, 24)


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    with modes_restored_at_exit(descriptor):
        modes.setraw(descriptor, termios.TCSADRAIN)
        try:
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
