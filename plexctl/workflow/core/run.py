"""A run of a verb on a plex: its lock, its journal and its events."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from plexctl.errors import PlexError
from plexctl.model.events import (
    Event,
    Intended,
    Listener,
    Marked,
    Noted,
    Outcome,
    PartWentOn,
    StepBegan,
    StepEnded,
    StepWentOn,
)
from plexctl.model.folder import Folder
from plexctl.model.resources import Key
from plexctl.model.state import state_folder
from plexctl.workflow.core.journals import JOURNAL, RUNS, add_run, runs_in_order

KEPT = 50
"""Number of journals that a lab keeps."""

WHOLE_LAB = "_lab"
"""Used instead of a plex; no plex can have this name."""


@dataclass(slots=True)
class RunStep:
    """A step that is under way."""

    run: Run
    title: str
    outcome: Outcome = Outcome.CHANGED
    text: str = ""

    def progress(self, text: str, done: float | None = None) -> None:
        self.run.emit(StepWentOn(self.run.seconds(), self.title, text, done))

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None:
        self.run.emit(PartWentOn(self.run.seconds(), self.title, name, doing, outcome))

    def end(self, outcome: Outcome, text: str = "") -> None:
        self.outcome, self.text = outcome, text


@dataclass(slots=True)
class Run:
    """A Reporter whose events go to the journal and to the user."""

    id: str
    listener: Listener
    journal: IO[str]
    resumes: bool = False  # the previous run was killed
    clock: Callable[[], float] = time.monotonic
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    _began: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def seconds(self) -> float:
        """Seconds since the run began."""
        return round(self.clock() - self._began, 3)

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[RunStep]:
        step, began = RunStep(self, title), self.seconds()
        self.emit(StepBegan(began, title, expect))
        try:
            yield step
        except BaseException as error:
            step.end(Outcome.FAILED, str(error) or type(error).__name__)
            raise
        finally:
            now = self.seconds()
            self.emit(StepEnded(now, title, step.outcome, step.text, round(now - began, 3)))

    def mark(self, node: str, what: str) -> None:
        self.emit(Marked(self.seconds(), node, what))

    def note(self, text: str) -> None:
        self.emit(Noted(self.seconds(), text))

    def intend(self, changes: Mapping[Key, str]) -> None:
        """Record the intended change of each object, before it is made."""
        self.emit(Intended(self.seconds(), {str(key): what for key, what in changes.items()}))

    def emit(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Marked):
                self.marks.setdefault(event.node, {})[event.what] = event.at
            if not isinstance(event, StepWentOn | PartWentOn):
                self._write({"event": type(event).__name__, **asdict(event)})
            self.listener(event)

    def _write(self, record: dict[str, object]) -> None:
        self.journal.write(json.dumps(record) + "\n")
        self.journal.flush()


@contextmanager
def start(
    state: Path, verb: str, plex: str, listener: Listener, *, now: datetime | None = None
) -> Iterator[Run]:
    """Begin a run. PlexError if another run on this plex is under way.

    `state` is the lab's folder for locks and journals; `plex` is WHOLE_LAB for verbs of the lab.
    """
    folder = state_folder(state)
    runs, locks = folder.below(RUNS), folder.below("locks")
    lock = FileLock(locks.checked(f"{plex}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PlexError(
            f"another plexctl is working on {plex}",
            hint="wait until it has ended; `plexctl status` works meanwhile",
        ) from error
    moment = now or datetime.now(UTC)
    name = f"{moment:%Y%m%dT%H%M%S.%f}-{verb}-{plex}"
    try:
        unfinished = last_unfinished(runs, plex)
        with runs.open_new(f"{name}{JOURNAL}") as journal:
            add_run(runs, name)
            run = Run(name, listener, journal, resumes=unfinished is not None)
            clock = now or datetime.now(UTC)
            run._write({"event": "Began", "at": 0.0, "time": clock.isoformat(), "lived": _lived()})
            if unfinished:
                run.note(f"the run {unfinished} was interrupted; this one continues its work")
            try:
                yield run
            except BaseException as error:
                run._write({"event": "Failed", "at": run.seconds(), "text": str(error)})
                raise
            run._write({"event": "Done", "at": run.seconds()})
        _delete_old(runs)
    finally:
        lock.release()


def last_unfinished(runs: Folder, plex: str) -> str | None:
    """The last run on `plex` if it was killed: it has neither ended nor failed."""
    # "20261121T082340.506123-replace-demo": a plex' own name may have dashes too.
    names = [name for name in runs_in_order(runs) if name.split("-", 2)[2:] == [plex]]
    if not names:
        return None
    content = runs.read(f"{names[-1]}{JOURNAL}") or b""
    text = content.decode(errors="replace").rstrip().rsplit("\n", 1)[-1]
    try:
        match json.loads(text):
            case {"event": "Done" | "Failed"}:
                return None
    except (ValueError, RecursionError):
        pass  # the run was killed while it wrote the line
    return names[-1]


def _delete_old(runs: Folder) -> None:
    for name in runs_in_order(runs)[:-KEPT]:
        for file in (f"{name}{JOURNAL}", inside_file(Path(f"{name}{JOURNAL}")).name):
            runs.delete(file)


def inside_file(journal: Path) -> Path:
    """The file with the events inside of a run's nodes, once they were read."""
    return journal.with_suffix(".nodes.json")


def _lived() -> float | None:
    """Seconds since this process began, mostly imports; None if /proc does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 2)
