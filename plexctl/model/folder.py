"""A folder below which no symbolic link is followed: for all files that plexctl writes in a lab.

A lab may come from somebody else. A link in it must not lead plexctl to files elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol

from plexctl.errors import PlexError, UsageError

PRIVATE, SHARED = 0o700, 0o755
"""Modes of new folders. The umask can narrow SHARED, and changes nothing of PRIVATE."""

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class EntryKind(StrEnum):
    FILE, FOLDER, LINK, OTHER = "file", "folder", "link", "other"


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder `root`/`parts`. It need not exist: it is created by the first write.

    The user chooses `root`, and may reach it through links. Below it, each part is opened relative
    to the one before, and never through a link (openat(2) with O_NOFOLLOW). Every method raises
    UsageError for a link, for anything that is neither a file nor a folder, and in a `private`
    folder also for a part that belongs to another user, or that others may write. PlexError if the
    system refuses.
    """

    root: Path
    parts: tuple[str, ...] = ()
    private: bool = False

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)

    def below(self, *names: str) -> Folder:
        return Folder(self.root, (*self.parts, *names), self.private)

    def create(self) -> None:
        """Create the folder, and those that it is in."""
        with self._opened(create=True):
            pass

    def exists(self) -> bool:
        with self._opened() as folder:
            return folder is not None

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """The content of a file; None if there is none.

        UsageError if it has more than `most` bytes.
        """
        with self._opened() as folder:
            if folder is None or not self._is_file(folder, name):
                return None
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with (
                self._explained("read", name),
                open(os.open(name, flags, dir_fd=folder), "rb") as file,  # noqa: PTH123
            ):
                content = file.read() if most is None else file.read(most + 1)
        if most is not None and len(content) > most:
            raise UsageError(f"{self.path / name} is larger than {most >> 10} KiB")
        return content

    def write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file. A reader or a crash finds the old content or the new, never a part."""
        self._write(name, data, mode, os.replace)

    def rewrite(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """`write` for a file of the user: it keeps its owner, group and mode.

        `mode` is that of a new file. UsageError if the file is read-only.
        """
        with self._opened(create=True) as folder:
            assert folder is not None
            self._is_file(folder, name)
            rewrite_at(folder, self.path / name, data, mode)

    def write_changed(self, name: str, data: bytes, mode: int = 0o644) -> bool:
        """`write` if the file has another content, or does not exist; whether that was so."""
        if self.read(name) == data:
            return False
        self.write(name, data, mode)
        return True

    def rewrite_changed(self, name: str, data: bytes) -> bool:
        """`rewrite` if the file has another content; whether that was so."""
        if self.read(name) == data:
            return False
        self.rewrite(name, data)
        return True

    def write_new(self, name: str, data: bytes, mode: int = 0o644) -> bool:
        """`write` that never replaces: False, and nothing done, if the file exists."""
        try:
            self._write(name, data, mode, os.link)
        except FileExistsError:
            return False
        return True

    def open_new(self, name: str) -> IO[str]:
        """A new text file of mode 0600, for what is written bit by bit."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._opened(create=True) as folder, self._explained("write", name):
            assert folder is not None
            return open(os.open(name, flags, 0o600, dir_fd=folder), "w")  # noqa: PTH123

    def append_line(self, name: str, line: str, most: int) -> None:
        """Add a line to a text file of mode 0600, and keep about the last `most` bytes of it.

        Several processes may do so at the same time.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._opened(create=True) as folder, self._explained("write", name):
            assert folder is not None
            self._is_file(folder, name)
            with open(os.open(name, flags, 0o600, dir_fd=folder), "r+b", buffering=0) as file:  # noqa: PTH123
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.seek(0, os.SEEK_END) > 2 * most:
                    file.seek(-most, os.SEEK_END)
                    kept = file.read().partition(b"\n")[2]
                    file.truncate(0)
                    file.write(kept)
                file.write(f"{line}\n".encode())

    def checked(self, name: str) -> Path:
        """The path of a file that something else opens. Creates the folder."""
        with self._opened(create=True) as folder:
            assert folder is not None
            self._is_file(folder, name)
        return self.path / name

    def entries(self) -> tuple[tuple[str, EntryKind], ...]:
        """Everything in the folder by name, sorted."""
        with self._opened() as folder:
            if folder is None:
                return ()
            with self._explained("read"), os.scandir(folder) as found:
                return tuple(sorted((entry.name, _kind(entry)) for entry in found))

    def names(self) -> tuple[str, ...]:
        """Names of everything in the folder, sorted."""
        return tuple(name for name, _ in self.entries())

    def files(self) -> tuple[str, ...]:
        """Names of the regular files in the folder, sorted; links are not among them."""
        return tuple(name for name, kind in self.entries() if kind is EntryKind.FILE)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with all files in it, if it exists.

        A link is deleted itself. What it leads to stays.
        """
        with self._opened() as folder, self._explained("delete", name):
            if folder is None:
                return
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(os.lstat(_plain(name), dir_fd=folder).st_mode):
                    shutil.rmtree(name, dir_fd=folder)  # which follows no link either
                else:
                    os.unlink(name, dir_fd=folder)

    @contextmanager
    def _opened(self, *, create: bool = False) -> Iterator[int | None]:
        """A descriptor of the folder; None if it does not exist."""
        descriptor: int | None = None
        try:
            with _explained("open", self.root):
                try:
                    descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                except FileNotFoundError:
                    if create:
                        raise
            for place, part in enumerate(self.parts):
                if descriptor is None:
                    break
                above, descriptor = descriptor, self._enter(descriptor, place, part, create)
                os.close(above)
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _enter(self, above: int, place: int, part: str, create: bool) -> int | None:
        path = self.root.joinpath(*self.parts[: place + 1])
        created = False
        if create:
            with suppress(FileExistsError), _explained("create", path):
                os.mkdir(_plain(part), PRIVATE if self.private else SHARED, dir_fd=above)
                created = True
        try:
            folder = os.open(_plain(part), OPEN_FOLDER, dir_fd=above)
        except FileNotFoundError:
            return None
        except OSError as error:
            _refuse_other(path, os.lstat(part, dir_fd=above), stat.S_IFDIR)
            raise PlexError(f"cannot open {path}: {error.strerror}") from error
        if created and self.private:
            os.fchmod(folder, PRIVATE)
        elif self.private:
            try:
                _refuse_foreign(path, os.fstat(folder))
            except BaseException:
                os.close(folder)
                raise
        return folder

    def _is_file(self, folder: int, name: str) -> bool:
        """Whether a file exists. UsageError for anything else of this name."""
        try:
            found = os.lstat(_plain(name), dir_fd=folder)
        except FileNotFoundError:
            return False
        _refuse_other(self.path / name, found, stat.S_IFREG)
        return True

    def _write(self, name: str, data: bytes, mode: int, place: Place) -> None:
        with self._opened(create=True) as folder:
            assert folder is not None
            self._is_file(folder, name)
            write_at(folder, self.path / name, data, mode, place)

    @contextmanager
    def _explained(self, verb: str, name: str = "") -> Iterator[None]:
        with _explained(verb, self.path / name):
            yield


class Place(Protocol):
    """`os.replace` and `os.link`: give a file another name."""

    def __call__(self, src: str, dst: str, /, *, src_dir_fd: int, dst_dir_fd: int) -> None: ...


def rewrite_at(folder: int, path: Path, data: bytes, mode: int) -> None:
    """`write_at` for a file of the user: it keeps its owner, group and mode.

    `mode` is that of a new file. UsageError if the file is read-only.
    """
    try:
        old = os.lstat(path.name, dir_fd=folder)
    except FileNotFoundError:
        write_at(folder, path, data, mode, os.replace)
        return
    refuse_read_only(path, old)
    write_at(folder, path, data, stat.S_IMODE(old.st_mode), os.replace, old)


def refuse_read_only(path: Path, found: os.stat_result) -> None:
    """UsageError if nobody may write the file, not even its owner."""
    if not found.st_mode & 0o222:
        raise UsageError(
            f"refusing to write {path}: it is read-only (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"if it may change: `chmod u+w {path}`",
        )


def write_at(
    folder: int,
    path: Path,
    data: bytes,
    mode: int,
    place: Place,
    owner: os.stat_result | None = None,
) -> None:
    """Write the file `path`, whose folder is open. Its content is on the disk when this returns.

    Nobody but its owner can read it before it has its `mode`. It gets the user and the group of
    `owner`, if there is one. FileExistsError from `place`.
    """
    temporary = f".{path.name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _explained("write", path):
        try:
            descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if owner is not None:
                    _give(file.fileno(), owner)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            place(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)  # the new name itself survives a crash
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


def _give(file: int, owner: os.stat_result) -> None:
    """Give an open file the user and the group of `owner`, unless it has them."""
    now = os.fstat(file)
    if (now.st_uid, now.st_gid) != (owner.st_uid, owner.st_gid):
        os.fchown(file, owner.st_uid, owner.st_gid)


def lab_file(root: Path, file: Path) -> tuple[Folder, str]:
    """The folder and the name of a file that the user keeps in the lab at `root`.

    A link is followed if it stays in the lab: users link files of their plexes to each other.
    UsageError if it leads elsewhere.
    """
    real, lab = Path(os.path.realpath(file)), Path(os.path.realpath(root))
    if not real.is_relative_to(lab) or real == lab:
        raise UsageError(
            f"refusing to use {file}: it leads out of the lab, to {real}",
            hint="replace the link by a file in the lab",
        )
    *parts, name = real.relative_to(lab).parts
    return Folder(root, tuple(parts)), name


def make_folders(path: Path, mode: int) -> None:
    """Create a folder and those above it with `mode`, which a umask can only narrow. OSError."""
    try:
        path.mkdir(mode=mode, exist_ok=True)
    except FileNotFoundError:
        make_folders(path.parent, mode)
        path.mkdir(mode=mode, exist_ok=True)


def write_missing(root: Path, file: Path, data: bytes) -> bool:
    """Write a new file of the user in the lab at `root`; False, and nothing done, if it exists."""
    if os.path.lexists(file):
        return False
    make_folders(root, SHARED)
    folder, name = lab_file(root, file)
    return folder.write_new(name, data)


def _kind(entry: os.DirEntry[str]) -> EntryKind:
    if entry.is_symlink():
        return EntryKind.LINK
    if entry.is_dir(follow_symlinks=False):
        return EntryKind.FOLDER
    return EntryKind.FILE if entry.is_file(follow_symlinks=False) else EntryKind.OTHER


def _plain(name: str) -> str:
    """`name`, which is that of one entry of a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise UsageError(f"{name!r} cannot be the name of a file")
    return name


def _refuse_other(path: Path, found: os.stat_result, wanted: int) -> None:
    """UsageError if `path` is no file (S_IFREG), or no folder (S_IFDIR), as it must be."""
    kind = stat.S_IFMT(found.st_mode)
    if kind == wanted:
        return
    if kind == stat.S_IFLNK:
        raise UsageError(
            f"refusing to use {path}: it is a symbolic link to {path.readlink()}",
            hint=f"delete the link: `rm {path}`",
        )
    what = "file" if wanted == stat.S_IFREG else "folder"
    raise UsageError(f"refusing to use {path}: it is not a {what}", hint="rename or delete it")


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    """UsageError if another user owns a private folder, or can write into it."""
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"refusing to use {path}: it belongs to another user (uid {found.st_uid})",
            hint="delete it, or run plexctl as that user",
        )
    if found.st_mode & 0o022:
        raise UsageError(
            f"refusing to use {path}: other users can write into it"
            f" (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"delete it, or if all files in it are yours: `chmod go-w {path}`",
        )


@contextmanager
def _explained(verb: str, path: Path) -> Iterator[None]:
    """An OSError as a PlexError, except for FileExistsError, which callers handle."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise PlexError(f"cannot {verb} {path}: {error.strerror}") from error
