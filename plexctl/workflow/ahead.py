"""Hosts that are asked while what needs their answer is still being loaded and computed."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from plexctl.errors import PlexError
from plexctl.model.observed import HostState
from plexctl.workflow.context import Context


class Asked(Protocol):
    def result(self) -> dict[str, HostState]:
        """What the hosts have; PlexError if none of them answers."""


@contextmanager
def asked(ctx: Context, hosts: Iterable[str]) -> Iterator[Asked]:
    """What `hosts` have, soon. Only for what looks: what changes anything must own its plex.

    A copy of this process asks, on a processor of its own: loading what speaks to hosts takes as
    long as all else. Where there are threads already, nothing is gained.
    """
    if threading.active_count() > 1:
        yield AskedNow(ctx, hosts)
        return
    child = _Child(ctx, hosts)
    try:
        yield child
    finally:
        child.end()


class AskedNow:
    """Hosts that are asked when the answer is wanted."""

    def __init__(self, ctx: Context, hosts: Iterable[str]) -> None:
        self._ctx, self._hosts = ctx, hosts

    def result(self) -> dict[str, HostState]:
        return self._ctx.engine.read(self._hosts)


class _Child:
    """A copy of this process that does nothing but read."""

    def __init__(self, ctx: Context, hosts: Iterable[str]) -> None:
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            _answer(AskedNow(ctx, hosts), os.fdopen(writing, "wb"))
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")
        self._ended = False

    def result(self) -> dict[str, HostState]:
        content = self._pipe.read()
        self.end()
        if not content:
            raise PlexError("the hosts were asked, and no answer came")
        answer = pickle.loads(content)  # noqa: S301 - written by a copy of this process
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, HostState] = answer
        return found

    def end(self) -> None:
        """Once; it is of no use any more."""
        if not self._ended:
            self._ended = True
            self._pipe.close()
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _answer(asked: Asked, pipe: BinaryIO) -> None:
    """Read, write down what was read or what went wrong, and end without a word."""
    try:
        answer: object = asked.result()
    except Exception as error:  # noqa: BLE001 - the parent raises it
        answer = error
    try:
        pipe.write(pickle.dumps(answer))
        pipe.flush()
    finally:
        os._exit(0)
