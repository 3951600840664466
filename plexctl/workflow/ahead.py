"""Hosts that are asked while what needs their answer is still being loaded and computed."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from plexctl.errors import PlexError

if TYPE_CHECKING:
    from plexctl.model.observed import HostState
    from plexctl.provision.direct import DirectEngine
    from plexctl.workflow.context import Context


class Asked(Protocol):
    def result(self) -> dict[str, HostState]:
        """What the hosts have; PlexError if none of them answers."""


class Messenger(Protocol):
    def ask(self, ctx: Context, hosts: Iterable[str]) -> Asked:
        """Ask for what `hosts` have. Once."""


class AskedNow:
    """Hosts that are asked when the answer is wanted."""

    def __init__(self, ctx: Context, hosts: Iterable[str]) -> None:
        self._ctx, self._hosts = ctx, hosts

    def result(self) -> dict[str, HostState]:
        return self._ctx.engine.read(self._hosts)


@contextmanager
def messenger() -> Iterator[Messenger]:
    """Who asks the hosts. Only for what looks: what changes anything must own its plex.

    A copy of this process, on a processor of its own: loading what speaks to hosts takes as long
    as all else, and begins before the lab is read. Where there are threads already, nothing is
    gained.
    """
    if threading.active_count() > 1:
        yield _Here()
        return
    child = _Child()
    try:
        yield child
    finally:
        child.end()


class _Here:
    def ask(self, ctx: Context, hosts: Iterable[str]) -> Asked:
        return AskedNow(ctx, hosts)


class _Child:
    """A copy of this process that does nothing but read."""

    def __init__(self) -> None:
        hear, ask = os.pipe()
        answered, answer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ask)
            os.close(answered)
            _serve(hear, answer)
        os.close(hear)
        os.close(answer)
        self._question, self._answer = os.fdopen(ask, "wb"), os.fdopen(answered, "rb")
        self._ended = False

    def ask(self, ctx: Context, hosts: Iterable[str]) -> Asked:
        try:
            question = pickle.dumps((dict(ctx.hosts), tuple(hosts)))
        except (pickle.PicklingError, AttributeError, TypeError):
            # A client with more than a copy may have: a Proxmox host's, which finds its token.
            return AskedNow(ctx, hosts)
        with suppress(BrokenPipeError):  # that it is gone is told with the answer
            self._question.write(question)
            self._question.close()
        return self

    def result(self) -> dict[str, HostState]:
        content = self._answer.read()
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
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._answer.close()
            with suppress(BrokenPipeError):
                self._question.close()


def _serve(question: int, answer: int) -> None:
    """Load, hear whom to ask, write down what was read or what went wrong; end without a word."""
    try:
        from plexctl.clients.incus_connection import load
        from plexctl.provision.direct import DirectEngine

        load()
        with os.fdopen(question, "rb") as pipe:
            content = pipe.read()
        if content:
            clients, hosts = pickle.loads(content)  # noqa: S301 - written by what this is a copy of
            with os.fdopen(answer, "wb") as pipe:
                pickle.dump(_read(DirectEngine(clients), hosts), pipe)
    finally:
        os._exit(0)


def _read(engine: DirectEngine, hosts: Iterable[str]) -> object:
    try:
        return engine.read(hosts)
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return error
