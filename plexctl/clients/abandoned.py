"""Folders in shared places that killed processes have left. Cheap to import: `up` needs it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are checked to be of this user
OLD_KEYS = frozenset({"ca", "cert", "key"})
"""The files in folders of older versions with the client key of a cluster."""

OLD_AGE = 3600.0
"""Seconds after which no older version uses such a folder any more."""


def delete_old_keys() -> None:
    """Delete the folders with client keys that killed processes of older versions have left."""
    for folder in folders_of_user(MEMORY, "plexctl", OLD_AGE):
        with suppress(OSError):
            if {file.name for file in folder.iterdir()} <= OLD_KEYS:
                shutil.rmtree(folder)


def folders_of_user(parent: Path, prefix: str, age: float) -> list[Path]:
    """Folders of this user with a name of `mkdtemp`, unchanged for `age` seconds."""
    name = re.compile(re.escape(prefix) + r"-[a-z0-9_]{8}")
    try:
        found = [folder for folder in parent.iterdir() if name.fullmatch(folder.name)]
    except OSError:
        return []
    return [folder for folder in found if _is_ours(folder, age)]


def _is_ours(folder: Path, age: float) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return ours and found.st_mtime < time.time() - age
