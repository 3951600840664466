"""Tasks: work that goes on after the answer, with the identifier that PVE gives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fake_pve.access import Identity
from tests.fake_pve.errors import ApiError, bad_parameters
from tests.fake_pve.routing import Call, route

if TYPE_CHECKING:
    from tests.fake_pve.pve import FakePve

Work = Callable[["Task"], None]

LINGER = 5
"""Seconds that a task which has ended is still among the active ones."""


@dataclass(slots=True)
class Task:
    """A task; `exitstatus` is empty while it runs, then "OK" or what went wrong."""

    upid: str
    node: str
    kind: str
    about: str
    user: str
    pid: int
    pstart: int
    starttime: int
    token: str = ""
    exitstatus: str = ""
    endtime: int = 0
    lines: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def log(self, line: str) -> None:
        """Add a line to its log."""
        self.lines.append(line)

    def describe(self) -> dict[str, Any]:
        """The status in the API's format."""
        known: dict[str, Any] = {
            "upid": self.upid, "node": self.node, "type": self.kind, "id": self.about,
            "user": self.user, "pid": self.pid, "pstart": self.pstart,
            "starttime": self.starttime, "status": "stopped" if self.exitstatus else "running",
        }  # fmt: skip
        if self.token:
            known["tokenid"] = self.token
        if self.exitstatus:
            known["exitstatus"] = self.exitstatus
        return known

    def line(self) -> dict[str, Any]:
        """The entry in a list of tasks, where `status` is the result."""
        known = self.describe()
        known.pop("status")
        if "exitstatus" in known:
            known |= {"status": known.pop("exitstatus"), "endtime": self.endtime}
        return known


@dataclass(slots=True)
class Tasks:
    """All tasks of the cluster, each on a thread of its own."""

    pve: FakePve
    all: dict[str, Task] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def start(
        self, node: str, kind: str, about: str, who: Identity,
        work: Work | None = None, seconds: float | None = None,
    ) -> str:  # fmt: skip
        """Start one that waits `seconds` (or `task_seconds`), then does `work`; gives its UPID."""
        pid, now = 4096 + len(self.all), int(time.time())
        pstart = 1_000_000 + 7 * len(self.all)
        upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{now:08X}:{kind}:{about}:{who.name}:"
        task = Task(upid, node, kind, about, who.user, pid, pstart, now, who.token)
        self.all[upid] = task
        wait = self.pve.task_seconds if seconds is None else seconds
        threading.Thread(target=self._run, args=(task, work, wait), daemon=True).start()
        return upid

    def _run(self, task: Task, work: Work | None, seconds: float) -> None:
        status = "OK"
        if self.stopping.wait(seconds):
            status = "received interrupt"
        try:
            if status == "OK":
                planned = next((one for one in self.failures if one[0] == task.kind), None)
                if planned:
                    self.failures.remove(planned)
                    raise ApiError(500, planned[1])
                if work:
                    work(task)
        except ApiError as error:
            status = error.reason
        except Exception as error:  # noqa: BLE001  a hook of a test: its fault is the task's
            status = f"{type(error).__name__}: {error}"
        task.log("TASK OK" if status == "OK" else f"TASK ERROR: {status}")
        task.endtime = int(time.time())
        task.exitstatus = status
        task.ended.set()

    def find(self, node: str, upid: str) -> Task:
        """The task of this identifier on this node."""
        parts = upid.split(":")
        if parts[0] != "UPID" or len(parts) != 9:
            raise bad_parameters({"upid": f"unable to parse worker upid '{upid}'"})
        if upid not in self.all or parts[1] != node:
            raise bad_parameters({"upid": "no such task"})
        return self.all[upid]


def _see(call: Call) -> Task:
    task = call.pve.tasks.find(call.node, call.params["upid"])
    if task.user != call.who.user:
        call.who.check(f"/nodes/{call.node}", "Sys.Audit")
    return task


@route("GET /nodes/{node}/tasks/{upid}/status")
def status(call: Call) -> dict[str, Any]:
    """Whether it runs and how it ended."""
    return _see(call).describe()


@route("GET /nodes/{node}/tasks/{upid}/log")
def log(call: Call) -> list[dict[str, Any]]:
    """Its lines, numbered from 1."""
    first, limit = call.params.get("start", 0), call.params.get("limit", 50)
    lines = [{"n": number, "t": text} for number, text in enumerate(_see(call).lines, 1)]
    return lines[first : first + limit if limit else None] or [{"n": 1, "t": "no content"}]


@route("GET /nodes/{node}/tasks")
def listed(call: Call) -> list[dict[str, Any]]:
    """The tasks of a node, newest first.

    The active ones are those that run, and those that ended while nobody looked; the archive has
    what has ended.
    """
    source, kind = call.params.get("source", "archive"), call.params.get("typefilter")
    about, limit = str(call.params.get("vmid", "")), call.params.get("limit", 50)
    now = time.time()
    found = [
        task
        for task in reversed(call.pve.tasks.all.values())
        if task.node == call.node
        and kind in {None, task.kind}
        and about in {"", task.about}
        and call.params.get("since", 0) <= task.starttime <= call.params.get("until", now)
        and (
            source == "all"
            or (source == "archive" and task.exitstatus)
            or (source == "active" and (not task.exitstatus or now - task.endtime < LINGER))
        )
    ]
    first = call.params.get("start", 0)
    return [task.line() for task in found[first : first + limit]]


@route("DELETE /nodes/{node}/tasks/{upid}")
def stop(call: Call) -> None:
    """Accepted; what a task has begun is not undone by stopping it here."""
    _see(call)
