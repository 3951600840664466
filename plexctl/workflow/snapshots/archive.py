"""The file of an exported snapshot: a tar with the disk of each node, and a manifest at its end.

A file that is cut short has no manifest. Disks are not compressed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from plexctl.config.bounded_tar import CHUNK, is_regular, members, shown
from plexctl.errors import PlexError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.disks import DiskCopy
from plexctl.workflow.snapshots.manifest import (
    MOST_BYTES,
    MOST_NODES,
    ForeignError,
    Manifest,
    ManifestError,
    SavedNode,
    read_manifest,
)

MANIFEST = "manifest.json"
BLOCK = tarfile.BLOCKSIZE
LARGEST = 64 << 10
"""Bytes of the largest extended header: members have short names and no attributes."""


# -- writing


@dataclass(slots=True)
class ArchiveWriter:
    """Writes disks one after another, then the manifest."""

    file: BinaryIO

    def add_disk(self, name: str, copy: DiskCopy, progress: Callable[[int], None]) -> str:
        """Write the disk of a node as it arrives; returns its SHA-256. `progress` gets bytes."""
        member = SavedNode(name, "", "", copy.size, "").member
        self.file.write(_header(member, copy.size))
        digest, written = hashlib.sha256(), 0
        for piece in copy.pieces:
            digest.update(piece)
            written += len(piece)
            if written > copy.size:
                break
            self.file.write(piece)
            progress(len(piece))
        if written != copy.size:
            raise PlexError(f"the disk of {name} was cut off while it was copied; try again")
        self.file.write(bytes(-copy.size % BLOCK))
        return digest.hexdigest()

    def end(self, manifest: Manifest, seed: RootSeed) -> None:
        content = manifest.signed(seed)
        self.file.write(_header(MANIFEST, len(content)))
        self.file.write(content + bytes(-len(content) % BLOCK) + bytes(2 * BLOCK))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


@contextmanager
def new_archive(path: Path, *, replace: bool) -> Iterator[ArchiveWriter]:
    """A file that is at `path` when the block ends, whole and with mode 0600; else nothing is.

    UsageError if something is there already, unless it `replace`s that.
    """
    require_new(path, replace=replace)
    descriptor, name = _unnamed(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield ArchiveWriter(file)
            file.flush()
            os.fsync(file.fileno())
            name = name or _named(file.fileno(), path)
            _place(name, path, replace=replace)
    except OSError as error:
        raise PlexError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if name:
            with suppress(OSError):
                name.unlink()


def require_new(path: Path, *, replace: bool) -> None:
    """UsageError if nothing can be written at `path`, or if it would replace something unasked."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no folder {path.parent}") from None
        return
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"refusing to write {path}: it is no regular file")
    if not replace:
        raise UsageError(f"{path} exists already", hint="choose another name, or replace it: -y")


def _unnamed(path: Path) -> tuple[int, Path | None]:
    """A new file beside `path`: without a name, so that a kill leaves nothing, where that works."""
    try:
        return os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600), None
    except OSError:
        pass  # the file system has no such files
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o600), name
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _named(descriptor: int, path: Path) -> Path:
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Only with a folder's descriptor Python asks the kernel to follow the link in /proc.
    os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor)
    return name


def _place(name: Path, path: Path, *, replace: bool) -> None:
    if replace:
        name.replace(path)
        return
    try:
        os.link(name, path)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="somebody has just written it") from None


# -- reading


@dataclass(frozen=True, slots=True)
class SavedDisk:
    """The place of a node's disk in the file."""

    node: SavedNode
    offset: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A file whose manifest this lab has signed. Its disks are verified when they are read."""

    path: Path
    manifest: Manifest
    disks: tuple[SavedDisk, ...]
    _file: BinaryIO

    def verify(
        self, check: Callable[[BinaryIO], None], progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Read all disks. UsageError if one has changed, or if `check` finds it harmful."""
        for disk in self.disks:
            digest = hashlib.sha256()
            content = self._raw(disk)
            with refusing(self.path, disk.node.member):
                while piece := content.read(CHUNK):
                    digest.update(piece)
                    progress(len(piece))
                if digest.hexdigest() != disk.node.sha256:
                    raise ValueError("its checksum is not the one in the manifest")
                check(self._raw(disk))

    def disk(self, disk: SavedDisk) -> BinaryIO:
        """The disk of a node. Its end is reached only if all of it has its checksum.

        Somebody may have changed the file since it was verified.
        """
        section = _Section(self._file, disk.offset, disk.node.size)
        return cast(BinaryIO, _Verified(section, disk.node.sha256))

    def _raw(self, disk: SavedDisk) -> BinaryIO:
        return cast(BinaryIO, _Section(self._file, disk.offset, disk.node.size))


@dataclass(slots=True)
class _Section:
    """A part of a file, which can be read at the same time as other parts."""

    file: BinaryIO
    start: int
    size: int
    place: int = field(default=0)

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size - self.place)
        wanted = left if size < 0 else min(size, left)
        content = os.pread(self.file.fileno(), wanted, self.start + self.place)
        self.place += len(content)
        return content

    def seek(self, place: int, _: int = 0) -> int:
        self.place = place
        return place

    def tell(self) -> int:  # words: allow
        return self.place


@dataclass(slots=True)
class _Verified:
    """A section whose last bytes are only given if all before have the right checksum.

    Its reader moves forward; of what it skips, the checksum is computed all the same.
    """

    section: _Section
    sha256: str
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _hashed: int = 0

    def read(self, size: int = -1) -> bytes:
        place = self.section.tell()
        self._hash_up_to(place)
        content = self.section.read(size)
        self._digest.update(content[self._hashed - place :])
        self._hashed = max(self._hashed, self.section.tell())
        if self._hashed == self.section.size and self._digest.hexdigest() != self.sha256:
            raise ValueError("it was changed since it was verified")
        if size and not content and self._hashed < self.section.size:
            raise ValueError("it was cut short since it was verified")
        return content

    def _hash_up_to(self, place: int) -> None:
        while self._hashed < place:
            self.section.seek(self._hashed)
            skipped = self.section.read(min(CHUNK, place - self._hashed))
            if not skipped:
                raise ValueError("it was cut short since it was verified")
            self._digest.update(skipped)
            self._hashed += len(skipped)
        self.section.seek(place)

    def seek(self, place: int, _: int = 0) -> int:
        return self.section.seek(place)

    def tell(self) -> int:  # words: allow
        return self.section.tell()


@contextmanager
def opened(path: Path, seed: RootSeed) -> Iterator[Archive]:
    """A file of `snapshot export` of this lab. UsageError for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} cannot be read: it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        with refusing(path):
            places, content = _members(file)
        with refusing(path, MANIFEST):
            manifest = read_manifest(content, seed)
        with refusing(path):
            disks = _disks(places, manifest)
        yield Archive(path, manifest, disks, file)


def _disks(places: dict[str, tuple[int, int]], manifest: Manifest) -> tuple[SavedDisk, ...]:
    wanted = {one.member: one for one in manifest.nodes}
    if missing := sorted(wanted.keys() ^ places.keys()):
        raise ValueError(f"{missing[0]} is only in the manifest, or only in the file")
    for name, (_, size) in places.items():
        if size != wanted[name].size:
            raise ValueError(f"{name} has another size than in the manifest")
    return tuple(SavedDisk(one, places[one.member][0]) for one in manifest.nodes)


def _members(file: BinaryIO) -> tuple[dict[str, tuple[int, int]], bytes]:
    """The place and the size of each disk, and the manifest. ValueError for anything else."""
    size = os.fstat(file.fileno()).st_size
    places: dict[str, tuple[int, int]] = {}
    manifest: bytes | None = None
    for member in members(cast(BinaryIO, _Section(file, 0, size)), LARGEST):
        name, place = member.name, member.offset_data
        if not is_regular(member):
            raise ValueError(f"{shown(name)} is no regular file")
        if place + member.size > size:
            raise ValueError(f"it is cut short, in {shown(name)}")
        if manifest is not None or name in places or not (_is_disk(name) or name == MANIFEST):
            raise ValueError(f"{shown(name)} does not belong into it")
        if len(places) > MOST_NODES or (name == MANIFEST and member.size > MOST_BYTES):
            raise ValueError(f"{shown(name)} is more than a snapshot has")
        if name == MANIFEST:
            manifest = os.pread(file.fileno(), member.size, place)
        else:
            places[name] = (place, member.size)
    if manifest is None:
        raise ValueError(f"it is cut short, or no snapshot of plexctl: it has no {MANIFEST}")
    return places, manifest


def _is_disk(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder == "nodes" and file.endswith(".tar") and "/" not in file


@contextmanager
def refusing(path: Path, member: str = "") -> Iterator[None]:
    """Turn a fault of the file into one message."""
    try:
        yield
    except ForeignError as error:
        raise UsageError(
            f"{path}: {member}: {error}",
            hint="import it in a clone of its lab, with the same seed",
        ) from error
    except ManifestError as error:
        raise UsageError(f"{path}: {member}: {error}", hint="export the snapshot again") from error
    except ValueError as error:
        where = f"{path}: {member}" if member else str(path)
        raise UsageError(f"{where}: {error}", hint="export the snapshot again") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
