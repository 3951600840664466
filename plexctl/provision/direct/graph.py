"""Runs tasks that need one another, as many at once as is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from plexctl.errors import PlexError, UnreachableHostError


@dataclass(frozen=True, slots=True)
class Task:
    """`work` is called once all tasks that `needs` names (those there are) have succeeded."""

    key: str
    work: Callable[[], None]
    needs: tuple[str, ...] = ()
    lane: str = ""  # tasks of one lane share a limit: a host


def run_tasks(tasks: Sequence[Task], limits: Mapping[str, int]) -> None:
    """Run all tasks, at most `limits[lane]` of a lane at once, in the given order where free.

    What fails does not stop what does not need it. At the end a PlexError tells every failure; a
    single one is raised as it is.
    """
    known = {task.key for task in tasks}
    waiting = {task.key: {n for n in task.needs if n in known} for task in tasks}
    queue = list(tasks)
    running: dict[Future[None], Task] = {}
    failures: list[PlexError] = []
    with ThreadPoolExecutor(max_workers=max(1, sum(limits.values()))) as pool:
        while queue or running:
            for task in tuple(queue):
                busy = sum(1 for t in running.values() if t.lane == task.lane)
                if not waiting[task.key] and busy < limits[task.lane]:
                    queue.remove(task)
                    running[pool.submit(task.work)] = task
            if not running:
                break  # what is left needs something that failed
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                error = future.exception()
                if isinstance(error, PlexError):
                    failures.append(error)
                elif error is not None:
                    raise error
                else:
                    for needs in waiting.values():
                        needs.discard(task.key)
    _tell(failures)


def _tell(failures: Sequence[PlexError]) -> None:
    if not failures:
        return
    different = tuple(dict.fromkeys(failures))  # all that needed a silent host has failed alike
    if len(different) == 1:
        raise different[0]
    only_silence = all(isinstance(failure, UnreachableHostError) for failure in different)
    raise (UnreachableHostError if only_silence else PlexError)(
        f"{len(different)} {'hosts do not answer' if only_silence else 'things failed'}",
        details=[line for f in different for line in (f.summary, *f.details)],
        hint=next((f.hint for f in different if f.hint), None),
    )
