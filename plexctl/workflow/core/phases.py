"""Runs that are lists of phases: what a killed one has left to the next run.

Each phase is a step of its run, and its state is in the run's journal. A file in the folder of the
plex describes the work while it is not complete. It is on the disk before the first change, and is
deleted after the last one: so a later run, whatever its verb, finds what a killed one has left,
also if other runs have failed since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from plexctl.model.events import Phased
from plexctl.model.folder import Folder
from plexctl.workflow.core.run import Run, RunStep

FILE = "unfinished.json"
"""In the folder of a plex."""

UP_RESTORE = "up --restore"
"""Verb of the work that the next run of `up` completes itself: other verbs leave it to that."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a run of phases is about to do. A later run completes or undoes it."""

    verb: str  # "save", "restore", "export", "import", "upgrade", UP_RESTORE
    run: str
    snapshot: str  # its name on the hosts; of UP_RESTORE the time of the backup
    nodes: tuple[str, ...]  # that the run freezes, restores, creates or replaces
    reached: str = ""  # of an upgrade: how far it is
    kubernetes: str = ""  # of an upgrade: the field in the plex file before; empty: it stays


@dataclass(frozen=True, slots=True)
class Phases:
    """The phases of a run on the plex whose folder is `folder`."""

    run: Run
    folder: Folder

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[RunStep]:
        """A phase as a step of the run. It is done when the block ends."""
        self._record(name, "began")
        try:
            with self.run.step(title) as step:
                yield step
        except BaseException:
            self._record(name, "failed")
            raise
        self._record(name, "done")

    def undone(self, name: str) -> None:
        """Record that what a phase did was undone."""
        self._record(name, "undone")

    def begin(self, work: Work) -> None:
        """Write `work` to the disk: its first change follows."""
        self.folder.write(FILE, json.dumps(asdict(work)).encode(), 0o600)

    def end(self) -> None:
        """Delete the file: the work is complete, or undone."""
        self.folder.delete(FILE)

    def _record(self, name: str, state: str) -> None:
        self.run.emit(Phased(self.run.seconds(), name, state))


def unfinished_work(folder: Folder) -> Work | None:
    """The work that a killed run has left in the folder of a plex. Quick if there is none."""
    content = folder.read(FILE)
    if content is None:
        return None
    try:
        found = json.loads(content)
        verb, run, snapshot = (str(found[key]) for key in ("verb", "run", "snapshot"))
        reached, kubernetes = (str(found.get(key, "")) for key in ("reached", "kubernetes"))
        return Work(verb, run, snapshot, tuple(map(str, found["nodes"])), reached, kubernetes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # plexctl replaces the whole file: somebody else has changed it
