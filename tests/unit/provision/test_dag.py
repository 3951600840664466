"""Tasks that need one another."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from plexctl.errors import PlexError
from plexctl.provision.direct.graph import Task, run_tasks


def test_a_task_begins_when_what_it_needs_is_done() -> None:
    done: list[str] = []
    tasks = [
        Task("worker", partial(done.append, "worker"), needs=("master", "not in this run")),
        Task("master", partial(done.append, "master")),
    ]

    run_tasks(tasks, {"": 4})

    assert done == ["master", "worker"]


def test_no_more_at_once_than_a_host_allows() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Barrier(2, timeout=5)

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait()  # broken unless two run at the same time
        with lock:
            now[0] -= 1

    run_tasks([Task(str(n), work, lane="local") for n in range(6)], {"local": 2})

    assert most[0] == 2


def fail(text: str) -> None:
    raise PlexError(text, hint="look there")


def test_a_failure_stops_only_what_needs_it() -> None:
    done: list[str] = []
    tasks = [
        Task("a", partial(fail, "a is broken")),
        Task("b", partial(done.append, "b"), needs=("a",)),
        Task("c", partial(done.append, "c"), needs=("b",)),
        Task("d", partial(done.append, "d")),
    ]

    with pytest.raises(PlexError, match="a is broken"):
        run_tasks(tasks, {"": 2})

    assert done == ["d"]


def test_every_failure_is_told() -> None:
    tasks = [Task("a", partial(fail, "a is broken")), Task("b", partial(fail, "b is broken"))]

    with pytest.raises(PlexError) as error:
        run_tasks(tasks, {"": 2})

    assert set(error.value.details) == {"a is broken", "b is broken"}
    assert error.value.hint == "look there"
