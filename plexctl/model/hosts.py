"""Machines that run nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HostKind(StrEnum):
    INCUS = "incus"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that runs nodes, as `clusters/hosts.yaml` declares it."""

    name: str
    kind: HostKind
    socket: str  # path of the Incus unix socket
    pool: str  # storage pool for images and instances
    parallel: int  # how many instances are made and booted at once


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host's kernel lets its containers do. Detected, never assumed."""

    cgroup: int  # 1 or 2: version of the control group hierarchy
    sys_resource: bool  # CAP_SYS_RESOURCE: containers may lower an oom score
    cpus: int
    memory: int  # bytes
