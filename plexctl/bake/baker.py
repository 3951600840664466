"""The process that bakes: a tag on all that a bake creates on its way.

The tag shows whether that process has ended, and so whether what it left may be deleted. A bake
that runs is never taken for one that was killed. A killed bake may be taken for one that runs, for
a day at most.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BAKER = "baker"
"""Name of the tag."""

LONGEST = 86_400
"""Seconds after which no bake still runs: each of its steps has a time limit far below."""


@dataclass(frozen=True, slots=True)
class Baker:
    """A process, identified on all machines that use a host, and the time when it began."""

    machine: str  # of its kernel and its name, hashed
    boot: str  # identifier of the kernel's boot
    namespace: str  # in which `pid` counts
    pid: int
    start: str  # of the process, in clock ticks since the boot
    began: int  # of the bake: seconds since 1970

    @classmethod
    def parse(cls, tag: str) -> Baker | None:
        """The process that `str` wrote into a tag; None if `tag` is none of that."""
        try:
            machine, boot, namespace, pid, start, began = tag.split("/")
            return cls(machine, boot, namespace, int(pid), start, int(began))
        except ValueError:
            return None

    def __str__(self) -> str:
        parts = (self.machine, self.boot, self.namespace, self.pid, self.start, self.began)
        return "/".join(map(str, parts))

    @property
    def process(self) -> tuple[str, str, str, int, str]:
        """The process, without the time."""
        return self.machine, self.boot, self.namespace, self.pid, self.start


def this_process() -> Baker:
    """The process that runs now."""
    return Baker(*_surroundings(), os.getpid(), _start("self") or "", int(time.time()))


def left_behind(tags: Mapping[str, str], *, ours: bool) -> bool:
    """Whether an object with `tags`, which a bake creates on its way, may be deleted.

    The caller holds the lock of bakes on that host. So no bake of this process runs, and what it
    has created is left over, too. Older versions wrote no tag of the process: such an object may be
    deleted if it is `ours`, of this lab.
    """
    baker = Baker.parse(tags.get(BAKER, ""))
    if baker is None:
        return ours
    here = this_process()
    return baker.process == here.process or has_ended(baker, here)


def has_ended(baker: Baker, here: Baker) -> bool:
    """Whether a process has surely ended, as far as the process `here` can tell."""
    if here.began - baker.began > LONGEST:
        return True
    if baker.machine != here.machine:
        return False
    if baker.boot != here.boot:
        return True  # this machine was started again since
    if baker.namespace != here.namespace:
        return False
    try:
        os.kill(baker.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is another user's
    start = _start(str(baker.pid))
    return start is not None and start != baker.start  # another process has its number


@cache
def _surroundings() -> tuple[str, str, str]:
    """The machine, the boot of its kernel, and the namespace of process numbers."""
    found = _read(Path("/etc/machine-id")) + os.uname().nodename
    machine = hashlib.sha256(found.encode()).hexdigest()[:16]
    boot = _read(Path("/proc/sys/kernel/random/boot_id"))
    namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return machine, boot, namespace


def _start(process: str) -> str | None:
    """When a process was started; None where /proc does not say."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
