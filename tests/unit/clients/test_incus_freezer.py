"""Freezing and thawing on hosts with both versions of control groups."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from plexctl.clients.incus import freezer, streams
from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.freezer import STATE, freeze_itself
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.snapshots import IncusSnapshots
from plexctl.errors import PlexError
from plexctl.model.streams import Streams


class Server:
    """A container, as LXC and as the kernel see it."""

    def __init__(self) -> None:
        self.known = self.frozen = False
        self.calls: list[str] = []
        self.thawed = threading.Event()

    @contextlib.contextmanager
    def failing_as(self, summary: str) -> Iterator[None]:
        yield

    def change_state(self, name: str, action: str) -> None:
        self.calls.append(action)
        if action == "unfreeze" and not self.known:
            raise PlexError("The instance is already running")
        self.known = self.frozen = action == "freeze"
        if not self.frozen:
            self.thawed.set()

    def run(self, *words: Any) -> int:
        """Like a shell in it: the line before comes out, the one after only once it is thawed."""
        argv, both = words[2], words[3]
        assert argv[-1] == f"echo; echo FROZEN > {STATE}"
        self.calls.append("itself")
        self.frozen = True
        both.stdout.write(b"\n")
        self.thawed.wait(10)
        return 0

    def snapshots(self, cgroup: int) -> IncusSnapshots:
        return IncusSnapshots(cast(IncusConnection, self), cast(IncusInstances, self), cgroup)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(streams, "run", found.run)
    return found


def test_a_container_of_version_1_freezes_itself_first(server: Server) -> None:
    host = server.snapshots(1)
    host.freeze("demo1")
    assert server.calls == ["itself", "freeze"]
    host.thaw("demo1")
    assert server.thawed.wait(10)
    assert not server.frozen


def test_with_version_2_nothing_runs_in_the_container(server: Server) -> None:
    server.snapshots(2).freeze("demo1")
    assert server.calls == ["freeze"]


def test_a_container_that_froze_itself_unknown_to_the_server_is_thawed(server: Server) -> None:
    """plexctl was killed before LXC knew it."""
    server.frozen = True
    server.snapshots(1).thaw("demo1")
    assert server.calls == ["unfreeze", "freeze", "unfreeze"]
    assert not server.frozen


def test_one_that_runs_is_left_alone_with_version_2(server: Server) -> None:
    server.snapshots(2).thaw("demo1")
    assert server.calls == ["unfreeze"]


@pytest.mark.parametrize("ends", ["fails", "without a word"])
def test_a_container_that_cannot_freeze_itself_delays_nothing(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> int:
        if ends == "fails":
            raise PlexError("VM agent isn't currently running")
        return 1

    monkeypatch.setattr(streams, "run", run)
    monkeypatch.setattr(freezer, "BEGINS", 3600.0)
    freeze_itself(cast(IncusConnection, Server()), "demo1")


def test_output_that_arrives_says_that_the_script_began(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def run(*words: Any) -> int:
        both: Streams = words[3]
        write: Callable[[bytes], int] = both.stdout.write
        assert write(b"\n") == 1
        ended.wait(10)
        return 0

    monkeypatch.setattr(streams, "run", run)
    monkeypatch.setattr(freezer, "BEGINS", 3600.0)
    freeze_itself(cast(IncusConnection, Server()), "demo1")
    assert not ended.is_set()
    ended.set()
