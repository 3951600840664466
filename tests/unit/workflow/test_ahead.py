"""Hosts that a copy of this process asks meanwhile answer as if they were asked here."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.observed import HostState
from plexctl.provision.direct import DirectEngine
from plexctl.workflow.ahead import messenger
from plexctl.workflow.context import Context


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


def context(**clients: Client) -> Context:
    return cast(Context, SimpleNamespace(hosts=clients, engine=DirectEngine(cast(Any, clients))))


def asker(state: HostState) -> int:
    return int(next(iter(state.networks)))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that other tests have left are not counted."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.mark.usefixtures("alone")
def test_a_copy_of_the_process_asks_them() -> None:
    with messenger() as messages:
        asked = messages.ask(context(a=Client("a"), b=Client("b")), ["a", "b"])
        states = asked.result()

    assert set(states) == {"a", "b"}
    assert asker(states["a"]) == asker(states["b"]) != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(asker(states["a"]), 0)


@pytest.mark.usefixtures("alone")
def test_what_goes_wrong_there_is_raised_here() -> None:
    silence = UnreachableHostError("host a does not answer", details=("nobody",), hint="look")
    with messenger() as messages:
        asked = messages.ask(context(a=Client("a", silence)), ["a"])
        with pytest.raises(UnreachableHostError, match="host a does not answer") as raised:
            asked.result()

    assert raised.value.details == ("nobody",)
    assert raised.value.hint == "look"


@pytest.mark.usefixtures("alone")
def test_a_client_that_no_copy_may_have_is_asked_here() -> None:
    with messenger() as messages:
        states = messages.ask(context(a=Client("a", more=lambda: "token")), ["a"]).result()

    assert asker(states["a"]) == os.getpid()


def test_beside_threads_there_is_no_copy() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with messenger() as messages:
            states = messages.ask(context(a=Client("a")), ["a"]).result()
    finally:
        done.set()
        thread.join()

    assert asker(states["a"]) == os.getpid()


@pytest.mark.usefixtures("alone")
def test_nothing_is_left_of_it_if_nobody_is_asked() -> None:
    with pytest.raises(KeyError), messenger():
        raise KeyError

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
