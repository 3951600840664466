"""The files of a node in an image of Incus: read with suspicion, and written again.

Such a tar has the files below `rootfs/`, and beside them `metadata.yaml` and `templates/`, which
Incus evaluates. Nothing but files is taken from a tar that somebody else may have written: each
header is parsed, checked, and written again from the values that were checked. So no other program
can read it in another way, and metadata is always plexctl's own.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import yaml

from plexctl.config.bounded_tar import CHUNK, is_regular, members, shown

ROOT = "rootfs"
BLOCK = tarfile.BLOCKSIZE

LARGEST_HEADER = 64 << 20
"""Bytes of the extended header of one file: Linux allows 64 KiB for each attribute."""

MOST_FILES = 5_000_000
LONGEST = 4096
"""Bytes of a path on Linux."""

OWNED = frozenset({"metadata.yaml", "templates"})
"""Top entries of an image besides its files. plexctl writes its own."""

ATTRIBUTES = (
    "SCHILY.xattr.security.",
    "SCHILY.xattr.trusted.",
    "SCHILY.xattr.user.",
    "SCHILY.xattr.system.posix_acl_",
    "SCHILY.acl.",
)
"""Beginnings of the extended attributes of files."""

HARMLESS = frozenset(
    {(0, 0), (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (1, 11), (5, 0), (5, 1), (5, 2), (10, 229)}
)
"""Character devices that a node may have on its disk: the mark of a deleted file of overlayfs,
null, zero, full, random, urandom, kmsg, tty, console, ptmx and fuse."""

KINDS = frozenset(
    {tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE}
)
"""Kinds of members besides regular files."""


class _Paths:
    """The paths of a tar so far: none may lead through a link."""

    def __init__(self) -> None:
        self._links: set[str] = set()

    def checked(self, member: tarfile.TarInfo) -> str:
        """The path of a member of `rootfs/`. ValueError for one that may leave it."""
        path = self._plain(member.name)
        if path in self._links:
            raise ValueError(f"{shown(member.name)} replaces a link")
        if member.type == tarfile.SYMTYPE or (
            member.type == tarfile.LNKTYPE and self._plain(member.linkname) in self._links
        ):
            self._links.add(path)
        return path

    def _plain(self, name: str) -> str:
        parts = name.split("/")
        encoded = len(name.encode(errors="surrogateescape"))
        if parts[0] != ROOT or {"", ".", ".."} & set(parts) or encoded > LONGEST or "\0" in name:
            raise ValueError(f"{shown(name)} is no path below {ROOT}/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in self._links:
                raise ValueError(f"{shown(name)} leads through a link")
        return name


def image_tar(
    content: BinaryIO, architecture: str, created: int, properties: Mapping[str, str]
) -> Iterator[bytes]:
    """The tar of an image with the files of `content`, piece by piece. See `check`."""
    metadata = {
        "architecture": architecture,
        "creation_date": created,
        "properties": dict(properties),
    }
    text = yaml.safe_dump(metadata).encode()
    info = tarfile.TarInfo("metadata.yaml")
    info.size = len(text)
    yield _header(info)
    yield text + bytes(-len(text) % BLOCK)
    for member, pieces in files(content):
        yield _header(member)
        yield from pieces
        yield bytes(-member.size % BLOCK)
    yield bytes(2 * BLOCK)


def check(content: BinaryIO) -> None:
    """Read all files of a tar. ValueError if it is damaged, or if a file could do harm on a host.

    Every path is below `rootfs/` and leads through no link; every device is one that each
    container has. Links themselves may lead anywhere: they mean something inside of a node only.
    """
    for _, pieces in files(content):
        for _ in pieces:
            pass


def files(content: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """The files of a tar that were checked, as new headers, each with its content.

    The content of one must be read before the next one.
    """
    paths, count = _Paths(), 0
    for member in members(content, LARGEST_HEADER):
        count += 1
        if count > MOST_FILES:
            raise ValueError(f"it has more than {MOST_FILES} files")
        if member.name.split("/")[0] not in OWNED:
            yield _checked(member, paths), _content(content, member)
    if not count:
        raise ValueError("it has no files")


def _checked(member: tarfile.TarInfo, paths: _Paths) -> tarfile.TarInfo:
    """A new header with what was checked of `member`."""
    regular = is_regular(member)
    if not regular and member.type not in KINDS:
        raise ValueError(f"{shown(member.name)} is of a kind that no node has")
    found = tarfile.TarInfo(paths.checked(member))
    found.type, found.mode = member.type, member.mode & 0o7777
    found.uid, found.gid, found.mtime = member.uid, member.gid, member.mtime
    if min(found.uid, found.gid) < 0 or max(found.uid, found.gid) >= 1 << 32:
        raise ValueError(f"{shown(member.name)} has an owner that cannot be")
    if member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        found.linkname = member.linkname
        if not member.linkname or len(member.linkname) > LONGEST or "\0" in member.linkname:
            raise ValueError(f"{shown(member.name)} is a link to nothing")
    if member.type == tarfile.CHRTYPE:
        found.devmajor, found.devminor = member.devmajor, member.devminor
        if (found.devmajor, found.devminor) not in HARMLESS:
            device = f"{found.devmajor}:{found.devminor}"
            raise ValueError(f"{shown(member.name)} is the device {device}")
    if regular:
        found.type, found.size = tarfile.REGTYPE, member.size
    found.pax_headers = {
        name: value
        for name, value in member.pax_headers.items()
        if name.startswith(ATTRIBUTES) and "=" not in name
    }
    return found


def _content(source: BinaryIO, member: tarfile.TarInfo) -> Iterator[bytes]:
    """The bytes of a regular file; of all others none."""
    if not is_regular(member):
        return
    source.seek(member.offset_data)
    left = member.size
    while left:
        piece = source.read(min(CHUNK, left))
        if not piece:
            raise ValueError("it is cut short")
        left -= len(piece)
        yield piece


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
