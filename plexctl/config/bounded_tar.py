"""Read the headers of a tar of untrusted origin within bounds."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from plexctl.errors import visible_line

CHUNK = 1 << 20
REGULAR = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


class _Bounded(io.RawIOBase):
    """A file that refuses to give more at once than a header may have."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        super().__init__()
        self._file, self._most = file, most

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._most:
            raise ValueError("a header is too large")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:  # words: allow
        return self._file.tell()  # words: allow


def members(file: BinaryIO, most: int) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, whose headers have at most `most` bytes. Their content is not read.

    ValueError if it is damaged. The reader may read and seek in `file` between two members.
    """
    try:
        with tarfile.open(fileobj=cast(BinaryIO, _Bounded(file, most)), mode="r:") as tar:
            while (member := tar.next()) is not None:
                vars(tar)["members"] = []  # else it keeps each of them
                if member.size < 0:
                    raise ValueError(f"{shown(member.name)} has a size that cannot be")
                yield member
            end = tar.offset
    except (tarfile.TarError, EOFError, UnicodeError, OverflowError) as error:
        raise ValueError(f"it is no tar, or damaged: {error}") from error
    file.seek(end)  # the library takes a damaged header for the end
    while rest := file.read(CHUNK):
        if rest.strip(b"\0"):
            raise ValueError("it is damaged: there is something after its end")


def is_regular(member: tarfile.TarInfo) -> bool:
    """Whether a member is a file with its whole content."""
    return member.type in REGULAR and getattr(member, "sparse", None) is None


def shown(name: str) -> str:
    """The name of a member, for an error."""
    return repr(visible_line(name[:80]))
