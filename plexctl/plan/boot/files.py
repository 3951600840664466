"""Files that a node boots with, and the tar that holds them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

MTIME = 1767225600
"""2026-01-01T00:00:00Z for every member: same files, same bytes, at any time."""


class FileKind(Enum):
    FILE = tarfile.REGTYPE
    FOLDER = tarfile.DIRTYPE
    LINK = tarfile.SYMTYPE


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file, folder or symbolic link of a node, owned by root. `path` is absolute."""

    path: str
    kind: FileKind
    mode: int
    content: bytes = field(default=b"", repr=False)  # may hold a key
    target: str = ""  # of a link


def text(path: str, content: str, mode: int = 0o644) -> BootFile:
    return BootFile(path, FileKind.FILE, mode, content.encode())


def private(path: str, content: bytes) -> BootFile:
    """A file that only root can read."""
    return BootFile(path, FileKind.FILE, 0o600, content)


def folder(path: str, mode: int) -> BootFile:
    return BootFile(path, FileKind.FOLDER, mode)


def link(path: str, target: str) -> BootFile:
    return BootFile(path, FileKind.LINK, 0o777, target=target)


BOOT_TAR = "/var/lib/plexctl/boot.tar"
"""The path of the tar on a node at its first boot."""

LAST = BootFile("/var/lib/plexctl/booted", FileKind.FILE, 0o600)
"""The last file of every tar: a node that has it has unpacked the whole tar."""


def pack(files: Iterable[BootFile]) -> bytes:
    """An uncompressed tar that ends with LAST. The same files in any order give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in (*sorted(files, key=lambda f: f.path), LAST):
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.type = file.kind.value
            member.mode = file.mode
            member.mtime = MTIME
            member.uname = member.gname = "root"
            member.linkname = file.target
            member.size = len(file.content)
            tar.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()
