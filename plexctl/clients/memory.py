"""Files without a name, in memory: for secrets that a library or a program reads from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A descriptor of a memory file (memfd_create(2)) with `content`.

    /proc/self/fd/N is its path in this process, and in a child that the descriptor is passed to.
    The kernel frees it with its last process, also after a kill -9: nothing is left on any disk.
    """
    descriptor = os.memfd_create("plexctl")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor
    finally:
        os.close(descriptor)
