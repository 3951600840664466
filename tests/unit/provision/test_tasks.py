"""Tasks that depend on each other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from plexctl.errors import PlexError
from plexctl.model.resources import Key, Kind
from plexctl.provision.direct.tasks import Task, TaskId, run_tasks


def task_id(name: str, *, deletes: bool = False) -> TaskId:
    return TaskId(Key(Kind.INSTANCE, "local", name), deletes)


def test_a_task_starts_after_the_tasks_that_it_needs() -> None:
    done: list[str] = []
    tasks = [
        Task(
            task_id("worker"),
            partial(done.append, "worker"),
            needs=(task_id("master"), task_id("not in this run")),
        ),
        Task(task_id("master"), partial(done.append, "master")),
    ]

    run_tasks(tasks, {"local": 4})

    assert done == ["master", "worker"]


def test_a_host_limits_how_many_tasks_run_at_once() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Barrier(2, timeout=120)

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait()  # broken unless two run at the same time
        with lock:
            now[0] -= 1

    run_tasks([Task(task_id(str(n)), work) for n in range(6)], {"local": 2})

    assert most[0] == 2


def fail(text: str) -> None:
    raise PlexError(text, hint="look there")


def test_a_failure_stops_only_the_tasks_that_need_it() -> None:
    done: list[str] = []
    tasks = [
        Task(task_id("a"), partial(fail, "a is broken")),
        Task(task_id("b"), partial(done.append, "b"), needs=(task_id("a"),)),
        Task(task_id("c"), partial(done.append, "c"), needs=(task_id("b"),)),
        Task(task_id("d"), partial(done.append, "d")),
    ]

    with pytest.raises(PlexError, match="a is broken"):
        run_tasks(tasks, {"local": 2})

    assert done == ["d"]


def test_every_failure_is_in_the_error() -> None:
    tasks = [
        Task(task_id("a"), partial(fail, "a is broken")),
        Task(task_id("b"), partial(fail, "b is broken")),
    ]

    with pytest.raises(PlexError) as error:
        run_tasks(tasks, {"local": 2})

    assert set(error.value.details) == {"a is broken", "b is broken"}
    assert error.value.hint == "look there"


def test_ready_tasks_start_in_the_given_order() -> None:
    done: list[str] = []
    tasks = [
        Task(task_id("new"), partial(done.append, "new"), needs=(task_id("old", deletes=True),)),
        *(Task(task_id(name), partial(done.append, name)) for name in "abc"),
        Task(task_id("old", deletes=True), partial(done.append, "old")),
    ]

    run_tasks(tasks, {"local": 1})

    assert done == ["a", "b", "c", "old", "new"]


def test_a_deletion_and_a_creation_of_one_object_are_two_tasks() -> None:
    done: list[str] = []
    gone = task_id("demo1", deletes=True)
    tasks = [
        Task(task_id("demo1"), partial(done.append, "created"), needs=(gone,)),
        Task(gone, partial(done.append, "deleted")),
    ]

    run_tasks(tasks, {"local": 2})

    assert done == ["deleted", "created"]


def test_a_busy_host_does_not_hold_back_another() -> None:
    both = threading.Barrier(2, timeout=120)

    def meet() -> None:
        both.wait()  # broken unless two run at the same time

    tasks = [Task(TaskId(Key(Kind.INSTANCE, host, "demo1")), meet) for host in ("local", "far")]

    run_tasks(tasks, {"local": 1, "far": 1})
