"""The machine that is measured on: what it is, what it spends, and when it rests."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from plexctl.clients.process import run
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait

MIB = 1024**2
REST = 0.25
"""Part of all processors that may be busy when a measurement begins: an idle cluster is."""
PATIENCE = 20.0


def describe() -> dict[str, str]:
    """What figures depend on, in words."""
    cpu = _field(Path("/proc/cpuinfo"), "model name", ":")
    system = _field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"')
    server = json.loads(run(["incus", "query", "/1.0"], timeout=30).stdout)["environment"]
    return {
        "processors": f"{os.cpu_count()} x {cpu or os.uname().machine}",
        "memory": f"{_meminfo('MemTotal') / 1024**3:.0f} GiB",
        "system": f"{system}, Linux {os.uname().release.partition('-')[0]}",
        "incus": f"{server['server_version']}, {server['storage']}",
    }


def processor_seconds() -> float:
    """Spent by all processors since the machine's start, whoever spent them."""
    return _processor_times()[0]


def _processor_times() -> tuple[float, float]:
    """Seconds that were spent, and that a virtual machine wanted while others had them."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already
    second = os.sysconf("SC_CLK_TCK")
    return sum(ticks[:3] + ticks[5:7]) / second, ticks[7] / second


@dataclass(frozen=True, slots=True)
class Usage:
    """What the whole machine has spent and taken, at an instant or between two."""

    processor: float  # seconds
    stolen: float  # seconds of processors that other virtual machines had meanwhile
    processes: float  # MiB that processes have for themselves, without files
    taken: float  # MiB that nobody can have any more: processes, and the kernel for them
    cache: float  # MiB of files that the kernel keeps as long as there is room

    def since(self, before: Usage) -> Usage:
        return Usage(
            self.processor - before.processor,
            self.stolen - before.stolen,
            self.processes - before.processes,
            self.taken - before.taken,
            self.cache - before.cache,
        )


def usage() -> Usage:
    total, free = _meminfo("MemTotal"), _meminfo("MemAvailable")
    # What is in memory file systems is counted as a file too, and is none.
    files = _meminfo("Cached") + _meminfo("Buffers") - _meminfo("Shmem")
    return Usage(
        *_processor_times(), _meminfo("AnonPages") / MIB, (total - free) / MIB, files / MIB
    )


def available() -> float:
    """MiB that processes can still have."""
    return _meminfo("MemAvailable") / MIB


def rest(patience: float = PATIENCE) -> None:
    """Wait until what was done before has ended to cost; at most `patience` seconds."""
    last = (time.monotonic(), processor_seconds())

    def look() -> Observation:
        nonlocal last
        now = (time.monotonic(), processor_seconds())
        seconds, spent = now[0] - last[0], now[1] - last[1]
        last = now
        return Observation(seconds > 0.5 and spent / seconds < REST * (os.cpu_count() or 1))

    try:
        wait(Condition("the machine rests", look, patience, every=1.0))
    except PlexError:
        return  # it is as busy as it is; both sides have the same


def _meminfo(name: str) -> int:
    """Bytes."""
    return int(_field(Path("/proc/meminfo"), name, ":").split()[0]) * 1024


def _field(file: Path, name: str, separator: str) -> str:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return ""
