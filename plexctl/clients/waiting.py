"""Whether a standard input has bytes to read, without reading any."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios


def has_input(descriptor: int | None) -> bool:
    """Whether a file or pipe has bytes to read now. Those of a terminal do not count."""
    if descriptor is None:
        return False
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            return os.lseek(descriptor, 0, os.SEEK_CUR) < found.st_size
        if not (stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)):
            return False
        count = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
        return bool(struct.unpack("i", count)[0])
    except OSError:
        return False
