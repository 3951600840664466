"""Set up the streams and signals of a plexctl process."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import time
import warnings
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from plexctl.errors import Interrupted

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

AGAIN = 1.0
"""Seconds in which a second signal is a repetition of the first: a terminal and a program such as
`timeout` may both send it. A later one ends what the first one has not ended."""

CLOCK = "System time is way off"
"""The beginning of a warning of urllib3."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk without space, or of a quota."""

NO_READER = (errno.EPIPE, errno.EIO)
"""Errors of a pipe whose reader has ended, and of a terminal that is gone."""


def start() -> None:
    """Open the standard streams that the caller has closed, and turn signals into Interrupted.

    May be called again.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # `plexctl list >&-`
            nothing = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nothing, mode, closefd=False))
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot encode "✓" shows "?".
            stream.reconfigure(errors="replace")
            setattr(sys, name, _without_reader(stream))
    if "HOME" not in os.environ:  # as in a unit of systemd; programs that plexctl starts need it
        os.environ["HOME"] = os.path.expanduser("~")  # noqa: PTH111 - few imports
    # plexctl compares the clock with its certificates itself; urllib3 warns at each connection.
    warnings.filterwarnings("ignore", message=CLOCK)
    handler = _Handler()
    for number in SIGNALS:
        # Under `nohup` SIGHUP is ignored: keep that.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def stopped(interrupted: Interrupted) -> int:
    """Print that a signal has stopped this process; returns the exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    print("interrupted", file=sys.stderr)
    return 128 + interrupted.number


@dataclass(slots=True)
class _Handler:
    """Raises Interrupted, and not again for a repetition."""

    last: float = float("-inf")

    def __call__(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if now - self.last >= AGAIN:
            self.last = now
            raise Interrupted(number)


class _Output(io.FileIO):
    """A standard stream. A reader that has ended does not stop the work, nor change its exit code.

    Progress and notes are lost too where there is no space for them; an answer is not.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NO_READER and self.fileno() != 2:
                raise
            return len(memoryview(data).cast("B"))


def _without_reader(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    try:
        number = stream.fileno()
    except OSError:  # a test's
        return stream
    if number not in (1, 2) or isinstance(getattr(stream.buffer, "raw", None), _Output):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
