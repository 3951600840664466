"""Calls in a copy of this process have the same results as calls in this process."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.observed import HostState
from plexctl.provision.read import read_hosts
from plexctl.workflow.core.prefetch import Pending, Prefetcher, prefetcher


@dataclass
class Client:
    """Has no instance, and says by its network's name which process has asked."""

    name: str
    error: PlexError | None = None
    more: Any = field(default=None)

    def read(self) -> HostState:
        if self.error:
            raise self.error
        return HostState(self.name, {}, {str(os.getpid()): cast(Any, None)}, {}, ())


def ask(messages: Prefetcher, *clients: Client) -> Pending[dict[str, HostState]]:
    return messages.ask(read_hosts, {one.name: one for one in clients}, [c.name for c in clients])


def asker(state: HostState) -> int:
    return int(next(iter(state.networks)))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that other tests have left are not counted."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.mark.usefixtures("alone")
def test_a_fork_makes_the_calls() -> None:
    with prefetcher() as messages:
        asked = ask(messages, Client("a"), Client("b"))
        states = asked.result()

    assert set(states) == {"a", "b"}
    assert asker(states["a"]) == asker(states["b"]) != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(asker(states["a"]), 0)


@pytest.mark.usefixtures("alone")
def test_errors_of_the_fork_are_raised_here() -> None:
    unreachable = UnreachableHostError("host a does not answer", details=("nobody",), hint="look")
    with prefetcher() as messages:
        asked = ask(messages, Client("a", unreachable))
        with pytest.raises(UnreachableHostError, match="host a does not answer") as raised:
            asked.result()

    assert raised.value.details == ("nobody",)
    assert raised.value.hint == "look"


@pytest.mark.usefixtures("alone")
def test_a_client_that_cannot_be_pickled_is_called_here() -> None:
    with prefetcher() as messages:
        states = ask(messages, Client("a", more=lambda: "token")).result()

    assert asker(states["a"]) == os.getpid()


def test_with_threads_there_is_no_fork() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with prefetcher() as messages:
            states = ask(messages, Client("a")).result()
    finally:
        done.set()
        thread.join()

    assert asker(states["a"]) == os.getpid()


@pytest.mark.usefixtures("alone")
def test_an_unused_fork_ends() -> None:
    with pytest.raises(KeyError), prefetcher():
        raise KeyError

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def has_a_bug() -> None:
    class Odd(Exception):  # noqa: N818 - that a pipe takes none of
        pass

    raise Odd("seven")


def gives_what_no_pipe_takes() -> object:
    return lambda: None


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("call", "said"), [(has_a_bug, "Odd: seven"), (gives_what_no_pipe_takes, "pickle")]
)
def test_a_bug_in_the_fork_is_raised_here(call: Any, said: str) -> None:
    with prefetcher() as messages:
        asked = messages.ask(call)
        with pytest.raises(RuntimeError, match=said):
            asked.result()


def fails(name: str) -> str:
    raise PlexError(f"{name} fails")


@pytest.mark.usefixtures("alone")
def test_each_call_has_its_own_result_in_any_order() -> None:
    with prefetcher() as messages:
        slow, wrong = messages.ask(time.sleep, 0.2), messages.ask(fails, "b")
        last = messages.ask(os.getpid)

        assert last.result() != os.getpid()
        with pytest.raises(PlexError, match="b fails"):
            wrong.result()
        assert slow.result() is None
        assert last.result() == last.result()


@pytest.mark.usefixtures("alone")
def test_a_copy_that_died_is_reported_in_one_sentence() -> None:
    with prefetcher() as messages:
        asked = messages.ask(os._exit, 3)
        with pytest.raises(PlexError, match="ended without a result"):
            asked.result()
