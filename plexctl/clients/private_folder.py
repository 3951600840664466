"""Folders that end with this process: for files that other programs read from a path.

A secret that is read from a descriptor belongs into a memory file instead: `memory`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plexctl.clients.abandoned import folders_of_user
from plexctl.clients.process import deleted_at_exit
from plexctl.errors import PlexError

NEW = 60.0
"""Seconds in which a new folder certainly gets its lock."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def private_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder PREFIX-… in `parent`, mode 0700; without `parent`, in the user's folder of
    temporary files.

    It is deleted when the block ends and when this process is killed. What is left after both
    this process and the one that watches it were killed is deleted by the next call with the same
    `prefix` and `parent`. PlexError if it cannot be created.
    """
    where = parent or Path(tempfile.gettempdir())
    _delete_abandoned(where, prefix)
    folder, lock = None, None
    try:
        with _signals_later():
            folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=where))
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)  # held as long as this process lives
    except OSError as error:
        _delete(folder, lock)
        raise PlexError(f"cannot create a folder in {where}: {error.strerror}") from error
    except BaseException:
        _delete(folder, lock)
        raise
    try:
        with deleted_at_exit(folder):
            yield folder
    finally:
        _delete(folder, lock)


def _delete(folder: Path | None, lock: int | None) -> None:
    with _signals_later():
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _delete_abandoned(parent: Path, prefix: str) -> None:
    """Delete folders whose process has ended: their lock is free."""
    for folder in folders_of_user(parent, prefix, NEW):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Signals that end this process are delivered after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
