"""What this machine's kernel allows containers."""

from __future__ import annotations

import os
from pathlib import Path

from plexctl.model.host_spec import HostFacts

CAP_SYS_RESOURCE = 24


def local_facts(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> HostFacts:
    """Read `/proc` and `/sys`: the Incus daemon runs on the same kernel as this process.

    Capabilities are the bounding set of process 1, which limits privileged containers.
    """
    unified = (sys / "fs/cgroup/cgroup.controllers").exists()
    return HostFacts(
        cgroup=2 if unified else 1,
        sys_resource=bool(_bounding_set(proc) >> CAP_SYS_RESOURCE & 1),
        cpus=os.cpu_count() or 1,
        memory=_memory(proc),
    )


def _bounding_set(proc: Path) -> int:
    for line in (proc / "1/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return -1


def _memory(proc: Path) -> int:
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0
