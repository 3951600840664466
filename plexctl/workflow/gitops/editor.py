"""Editing a text that must not reach a disk: in memory, with the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.secret import Secret

MEMORY = Path("/dev/shm")  # noqa: S108 - that it is in memory and our folder in it private is seen to
MOUNTS = Path("/proc/self/mounts")
USUAL = ("sensible-editor", "nano", "vim", "vi")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def edited(text: Secret, name: str) -> Secret:
    """What the user makes of `text` in a file called `name`. PlexError if the editor fails."""
    words = editor()
    with _memory_folder() as folder:
        file = folder / name
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(text.reveal())
        code = process.interactive((*words, file))
        if code != 0:
            raise PlexError(f"the editor {words[0]} ended with code {code}; nothing was changed")
        try:
            return Secret(file.read_bytes())
        except OSError as error:
            raise PlexError(
                f"the editor {words[0]} has left no {name}; nothing was changed",
                details=(str(error.strerror),),
            ) from None


def editor() -> tuple[str, ...]:
    """The command of the user's editor: $VISUAL, $EDITOR, or a usual one."""
    for variable in ("VISUAL", "EDITOR"):
        if command := os.environ.get(variable, "").strip():
            try:
                return tuple(shlex.split(command))
            except ValueError as error:
                raise PlexError(f"${variable} is no command: {error}") from None
    for name in USUAL:
        if shutil.which(name):
            return (name,)
    raise PlexError(
        f"there is no editor: none of {', '.join(USUAL)}",
        hint="install one, or name yours: export EDITOR=…",
    )


@contextmanager
def _memory_folder() -> Iterator[Path]:
    """A folder in memory that only the user can enter, and that is gone afterwards in any case."""
    if not _in_memory():
        raise PlexError(
            f"{MEMORY} is no file system in memory, and nothing secret is written to a disk",
            hint=f"mount -t tmpfs -o mode=1777 tmpfs {MEMORY}",
        )
    hangup = signal.getsignal(signal.SIGHUP)
    if hangup == signal.SIG_DFL:  # a terminal that closes would end this process at once
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    folder = None
    try:
        with _uninterrupted():
            folder = Path(tempfile.mkdtemp(prefix="plexctl-secret-", dir=MEMORY))
        yield folder
    except OSError as error:
        raise PlexError(f"cannot write to {MEMORY}: {error.strerror}") from error
    finally:
        with _uninterrupted():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            signal.signal(signal.SIGHUP, hangup)


def _in_memory() -> bool:
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    # A later mount hides an earlier one.
    kinds = [kind for _, where, kind, *_ in mounts if where == str(MEMORY)]
    return kinds[-1:] in (["tmpfs"], ["ramfs"])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that end this process wait until the block is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
