"""Editing a secret text with the user's editor, in a folder in memory: nothing reaches a disk."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plexctl.clients import process
from plexctl.clients.private_folder import private_folder
from plexctl.errors import PlexError
from plexctl.model.secret import Secret

MEMORY = Path("/dev/shm")  # noqa: S108 - checked to be in memory; our folder in it is private
MOUNTS = Path("/proc/self/mounts")
DEFAULT_EDITORS = ("sensible-editor", "nano", "vim", "vi")


def edited(text: Secret, name: str) -> Secret:
    """`text` after the user has edited it in a file with the name `name`.

    PlexError if the editor fails.
    """
    command = editor()
    with _memory_folder() as folder:
        file = folder / name
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(text.reveal())
        code = process.interactive((*command, file))
        if code != 0:
            raise PlexError(f"the editor {command[0]} failed with code {code}; nothing was changed")
        try:
            return Secret(file.read_bytes())
        except OSError as error:
            raise PlexError(
                f"the editor {command[0]} deleted {name}; nothing was changed",
                details=(str(error.strerror),),
            ) from None


def editor() -> tuple[str, ...]:
    """The command of the user's editor: $VISUAL, $EDITOR, or a common one."""
    for variable in ("VISUAL", "EDITOR"):
        if command := os.environ.get(variable, "").strip():
            try:
                return tuple(shlex.split(command))
            except ValueError as error:
                raise PlexError(f"${variable} is not a valid command: {error}") from None
    for name in DEFAULT_EDITORS:
        if shutil.which(name):
            return (name,)
    raise PlexError(
        f"no editor found: neither $VISUAL nor $EDITOR, nor {', '.join(DEFAULT_EDITORS)}",
        hint="install one, or name yours: `export EDITOR=…`",
    )


@contextmanager
def _memory_folder() -> Iterator[Path]:
    """A folder in memory for this user only, which ends with this process."""
    if not _in_memory():
        raise PlexError(
            f"{MEMORY} is not a file system in memory; plexctl writes no plain secrets to a disk",
            hint=f"mount -t tmpfs -o mode=1777 tmpfs {MEMORY}",
        )
    hangup = signal.getsignal(signal.SIGHUP)
    if hangup == signal.SIG_DFL:  # the default ends this process at once, before the editor
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    try:
        with private_folder("plexctl-secret", MEMORY) as folder:
            yield folder
    except OSError as error:
        raise PlexError(f"cannot write to {MEMORY}: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGHUP, hangup)


def _in_memory() -> bool:
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    # A later mount hides an earlier one.
    kinds = [kind for _, where, kind, *_ in mounts if where == str(MEMORY)]
    return kinds[-1:] in (["tmpfs"], ["ramfs"])
