"""Runs tasks that depend on each other, as many at once as each host allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.resources import Key


@dataclass(frozen=True, slots=True)
class TaskId:
    """The identifier of a task: the deletion of an object, or its creation, update or start.

    `creates`: only the creation, of a master whose start waits for those of others.
    """

    key: Key
    deletes: bool = False
    creates: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """`work` is called once all tasks of `needs` have succeeded, as far as they are in the run."""

    id: TaskId
    work: Callable[[], None]
    needs: tuple[TaskId, ...] = ()


def run_tasks(tasks: Sequence[Task], limits: Mapping[str, int]) -> None:
    """Run all tasks, at most `limits[host]` of a host at once.

    Of the tasks that could start, the first ones in `tasks` do. A task that fails stops only the
    tasks that need it. At the end a PlexError lists all failures; a single one is raised as it is.
    """
    known = {task.id: place for place, task in enumerate(tasks)}
    needs = {task.id: [need for need in task.needs if need in known] for task in tasks}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[Task] = []
    running: dict[Future[None], Task] = {}
    failures: list[PlexError] = []
    with ThreadPoolExecutor(max_workers=max(1, sum(limits.values()))) as pool:
        while True:
            ready += (tasks[known[one]] for one in sorter.get_ready())
            for task in sorted(ready, key=lambda one: known[one.id]):
                host = task.id.key.host
                busy = sum(other.id.key.host == host for other in running.values())
                if busy < limits[host]:
                    ready.remove(task)
                    running[pool.submit(task.work)] = task
            if not running:
                break  # the tasks that are left need one that failed
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task, error = running.pop(future), future.exception()
                if error is None:
                    sorter.done(task.id)
                elif isinstance(error, PlexError):
                    failures.append(error)
                else:
                    raise error
    _raise(failures)


def _raise(failures: Sequence[PlexError]) -> None:
    """Raise one error for all failures, if there are any."""
    if not failures:
        return
    # All tasks of a host that does not answer have failed with the same error.
    different = tuple(dict.fromkeys(failures))
    if len(different) == 1:
        raise different[0]
    unreachable = all(isinstance(failure, UnreachableHostError) for failure in different)
    raise (UnreachableHostError if unreachable else PlexError)(
        f"{len(different)} {'hosts do not answer' if unreachable else 'changes failed'}",
        details=[line for f in different for line in (f.summary, *f.details)],
        hint=next((f.hint for f in different if f.hint), None),
    )
