"""Calls to hosts and clusters that run while the lab is still read and planned."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

# Here, so that the copy has what this module loads: both processes need it.
from plexctl.clients.incus.host import load
from plexctl.errors import PlexError

_Answer = TypeVar("_Answer")
_Given_co = TypeVar("_Given_co", covariant=True)


class Pending(Protocol[_Given_co]):
    def result(self) -> _Given_co:
        """The result of the call, or its exception."""


class Prefetcher(Protocol):
    def ask(self, call: Callable[..., _Answer], *given: object) -> Pending[_Answer]:
        """Start `call`, a function of a module, with these values."""


class Here:
    """Makes each call only when its result is needed."""

    def ask(self, call: Callable[..., _Answer], *given: object) -> Pending[_Answer]:
        return _Later(lambda: call(*given))


class _Later:
    def __init__(self, result: Callable[[], Any]) -> None:
        self.result = result


@contextmanager
def prefetcher() -> Iterator[Prefetcher]:
    """A Prefetcher for verbs that only read; a verb that changes anything must own its plex.

    Its calls run in a copy of this process, on a processor of its own: loading the client
    libraries takes as long as the rest of the verb, and begins before the lab is read. Measured
    with 3 and with 65 nodes, `plan`, `status` and `bake` take 0.07 to 0.09 s less, a quarter of
    the time of 3 nodes; a thread instead of the copy takes longer than no prefetch. If the process
    has threads already, the calls run in this process.
    """
    if threading.active_count() > 1:
        yield Here()
        return
    child = _Child()
    try:
        yield child
    finally:
        child.end()


class _Child:
    """A fork of this process that only makes calls, all at the same time."""

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
        self._questions, self._answers = os.fdopen(ask, "wb"), os.fdopen(answered, "rb")
        self._asked = 0
        self._heard: dict[int, object] = {}

    def ask(self, call: Callable[..., _Answer], *given: object) -> Pending[_Answer]:
        number = self._asked
        try:
            question = pickle.dumps((number, call, given))
        except (pickle.PicklingError, AttributeError, TypeError):
            # A client that cannot be pickled: of a Proxmox host, which reads its token.
            return Here().ask(call, *given)
        self._asked += 1
        with suppress(BrokenPipeError):  # the answer reports that the copy has ended
            self._questions.write(question)
            self._questions.flush()
        return _Later(lambda: self._answer(number))

    def _answer(self, number: int) -> Any:
        while number not in self._heard:
            try:
                answered, content = pickle.load(self._answers)  # noqa: S301 - a copy of this process
            except EOFError:
                raise PlexError(
                    "the process that reads the hosts and the cluster has ended without a result"
                ) from None
            self._heard[answered] = content
        answer = self._heard[number]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Kill the process: it is not needed any more."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._answers.close()
        with suppress(BrokenPipeError):
            self._questions.close()


def _serve(question: int, answer: int) -> None:
    """Load the clients, make the calls that arrive, write their results; never returns."""
    try:
        load()
        telling = threading.Lock()
        with os.fdopen(question, "rb") as questions, os.fdopen(answer, "wb") as answers:

            def make(number: int, call: Callable[..., object], given: tuple[object, ...]) -> None:
                try:
                    content = pickle.dumps((number, call(*given)))
                except PlexError as error:
                    content = pickle.dumps((number, error))
                except Exception:  # noqa: BLE001 - a bug, which may hold what no pipe takes
                    content = pickle.dumps((number, RuntimeError(traceback.format_exc())))
                with telling:
                    answers.write(content)
                    answers.flush()

            with ThreadPoolExecutor() as pool:
                while True:
                    pool.submit(make, *pickle.load(questions))  # noqa: S301 - what this is a copy of
    finally:
        os._exit(0)
