"""Write files atomically: a reader or a crash finds the old content or the new, never a part.

For files of a lab there is `folder`, which follows no links.
"""

from __future__ import annotations

import os
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.folder import Place, write_at


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `path` with exactly `mode`, whatever the umask; replaces an existing file.

    The content is on the disk when this returns. The folder must exist. PlexError if it fails.
    """
    _write(path, data, mode, os.replace)


def write_private(path: Path, data: bytes) -> None:
    """`write_atomic` for secrets: no other user can read the file at any instant."""
    write_atomic(path, data, 0o600)


def write_changed(path: Path, data: bytes, mode: int = 0o644) -> None:
    """`write_atomic`, unless `path` has this content already."""
    if not path.exists() or path.read_bytes() != data:
        write_atomic(path, data, mode)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> bool:
    """`write_atomic` that never replaces: False, and nothing done, if `path` exists."""
    try:
        _write(path, data, mode, os.link)
    except FileExistsError:
        return False
    return True


def _write(path: Path, data: bytes, mode: int, place: Place) -> None:
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PlexError(f"cannot write {path}: {error.strerror}") from error
    try:
        write_at(folder, path, data, mode, place)
    finally:
        os.close(folder)
