"""A content-addressed folder. A file in it is complete, also after a crash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Blobs:
    """Files by the SHA-256 of their bytes, read-only, below `root`/sha256."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "sha256"

    def path(self, digest: str) -> Path:
        return self.folder / digest

    def has(self, digest: str, size: int) -> bool:
        """Whether there is a file of that size; its bytes are not read."""
        try:
            return self.path(digest).stat().st_size == size
        except OSError:
            return False

    def take(self, file: Path, digest: str) -> None:
        """Move in `file`, whose digest the caller has computed. It is on the same file system."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file.chmod(0o444)
        sync(file)
        file.replace(self.path(digest))
        sync(self.folder)

    def digests(self) -> Iterator[str]:
        """The digests of all blobs, sorted."""
        if self.folder.is_dir():
            yield from sorted(entry.name for entry in self.folder.iterdir())

    def drop(self, digest: str) -> int:
        """Delete a blob. Returns the number of bytes that this frees."""
        path = self.path(digest)
        size = path.stat().st_size if path.exists() else 0
        path.unlink(missing_ok=True)
        return size
