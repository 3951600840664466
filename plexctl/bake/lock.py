"""One bake at a time on a host, which cleans up when it ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from plexctl.bake.place import temporary_folder
from plexctl.errors import PlexError
from plexctl.model.events import Reporter

LOCK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class BakeLock:
    """Bakes on a host run one after another: recipes share layers, and a bake uses all processors.

    `work` has a folder for each host. `sweep` deletes from the host what bakes create on their way.
    """

    work: Path
    host: str
    sweep: Callable[[], None]
    reporter: Reporter

    @property
    def folder(self) -> Path:
        """Locks and logs of this host."""
        return self.work / self.host

    @property
    def temporary(self) -> Path:
        """A folder that exists while a bake is under way, and after it was interrupted."""
        return temporary_folder(self.work, self.host)

    def clean_up(self) -> None:
        """Delete what an interrupted bake has left, unless another bake is under way."""
        if self.temporary.exists():
            with suppress(Timeout), self.alone(waiting=False):
                pass

    @contextmanager
    def alone(self, *, waiting: bool = True) -> Iterator[Path]:
        """Hold the lock, with a temporary folder.

        Whatever a bake creates on its way is deleted when it ends, or else before the next one.
        Timeout if another process holds the lock and this one is not `waiting`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked(waiting):
            self._clear()
            self.temporary.mkdir()
            try:
                yield self.temporary
            except BaseException:
                # Report what went wrong, not that the cleanup failed too.
                with suppress(PlexError, OSError):
                    self._clear()
                raise
            self._clear()

    def _locked(self, waiting: bool) -> AbstractContextManager[object]:
        lock = FileLock(self.folder / "lock")
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            if not waiting:
                raise
        with self.reporter.step("wait for the bake that is under way"):
            try:
                return lock.acquire(timeout=LOCK_SECONDS)
            except Timeout as error:
                raise PlexError(
                    f"another bake on host {self.host} has not ended in {LOCK_SECONDS:.0f} s"
                ) from error

    def _clear(self) -> None:
        self.sweep()
        if self.temporary.exists():
            try:
                shutil.rmtree(self.temporary)
            except OSError as error:
                raise PlexError(f"{error.filename} cannot be deleted: {error.strerror}") from error
