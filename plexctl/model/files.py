"""Write files atomically: a reader or a crash finds the old content or the new, never a part.

For files of a lab there is `folder`, which follows no links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.folder import Place, rewrite_at, write_at


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `path` with exactly `mode`, whatever the umask; replaces an existing file.

    The content is on the disk when this returns. The folder must exist. PlexError if it fails.
    """
    _write(path, data, mode, os.replace)


def write_private(path: Path, data: bytes) -> None:
    """`write_atomic` for secrets: no other user can read the file at any instant."""
    write_atomic(path, data, 0o600)


def rewrite(path: Path, data: bytes, mode: int) -> None:
    """Replace a file of the user: it keeps its owner, group and mode, and a link to it stays.

    `mode` is that of a new file. UsageError if the file is read-only.
    """
    real = Path(os.path.realpath(path))
    with _folder(real) as folder:
        rewrite_at(folder, real, data, mode)


def write_copy(path: Path, data: bytes, like: os.stat_result) -> None:
    """`write_atomic` with the owner, the group and the mode of another file."""
    with _folder(path) as folder:
        write_at(folder, path, data, stat.S_IMODE(like.st_mode), os.replace, like)


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
    with _folder(path) as folder:
        write_at(folder, path, data, mode, place)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """A descriptor of the folder of `path`."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PlexError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield folder
    finally:
        os.close(folder)
