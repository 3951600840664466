"""One bake at a time on a host, and nothing of it left when it has ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from plexctl.errors import PlexError
from plexctl.model.events import Reporter

LOCK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class BakeLock:
    """Recipes share layers, and a bake uses all of the machine: bakes of a host take turns.

    `folder` is of one host; `sweep` removes from the host what bakes have made on their way.
    """

    folder: Path
    sweep: Callable[[], None]
    reporter: Reporter

    @property
    def temporary(self) -> Path:
        """There while a bake is under way, and after it was interrupted."""
        return self.folder / "tmp"

    def mend(self) -> None:
        """Remove what an interrupted bake has left, unless someone bakes just now."""
        if self.temporary.exists():
            with suppress(Timeout), self.alone(waiting=False):
                pass

    @contextmanager
    def alone(self, *, waiting: bool = True) -> Iterator[Path]:
        """Have a turn, and a folder for it.

        Whatever a bake makes on its way is removed when it ends, or else before the next one.
        Timeout if there is another one and this is not `waiting` for it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked(waiting):
            self._clear()
            self.temporary.mkdir()
            try:
                yield self.temporary
            except BaseException:
                # What went wrong is the news, not that the rest could not be removed either.
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
                raise PlexError("the bake that is under way does not end") from error

    def _clear(self) -> None:
        self.sweep()
        if self.temporary.exists():
            try:
                shutil.rmtree(self.temporary)
            except OSError as error:
                raise PlexError(f"{error.filename} cannot be removed: {error.strerror}") from error
