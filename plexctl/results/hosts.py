"""Results of commands about hosts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host of the lab."""

    name: str
    kind: str  # "incus" or "proxmox"
    endpoint: str  # URL or socket
    unreachable: str | None  # the reason; None: the host answers
    instances: int | None  # of this lab; None: unknown
    cpus: int  # number of processors
    memory: int  # bytes
    version: str | None = None  # of Incus or Proxmox VE; None: unknown
    note: str = ""  # how its clock differs from this machine's, if by more than five minutes


@dataclass(frozen=True, slots=True)
class HostsResult:
    hosts: tuple[HostRow, ...]

    @property
    def healthy(self) -> bool:
        return all(row.unreachable is None for row in self.hosts)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One part of a machine's configuration."""

    name: str  # "packages"
    changed: bool
    tasks: tuple[str, ...]  # the tasks that have changed it


@dataclass(frozen=True, slots=True)
class HostPreparedResult:
    """A machine after `host prepare`. Its token is not part of the result."""

    name: str
    changed: bool  # the machine or the lab
    items: tuple[PreparedRow, ...]
    notes: tuple[str, ...]  # what needs attention, such as a reboot
    url: str | None  # of its API
    message: str  # its relation to the lab


@dataclass(frozen=True, slots=True)
class HostResult:
    """A host that was added, changed or removed."""

    name: str
    changed: bool
    message: str  # what has happened, in one line
