"""What verbs about hosts answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host of the lab, and whether it answers."""

    name: str
    kind: str
    where: str  # URL or socket
    answer: str  # "answers", or why it does not
    instances: int | None  # of this lab; None: it does not say
    cpus: int
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class HostsResult:
    hosts: tuple[HostRow, ...]

    @property
    def healthy(self) -> bool:
        return all(row.answer == "answers" for row in self.hosts)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One thing that was looked after on a machine: "packages"."""

    name: str
    changed: bool
    tasks: tuple[str, ...]  # those that changed it


@dataclass(frozen=True, slots=True)
class HostPreparedResult:
    """A machine that was made a host. The token that it gave out is not told."""

    name: str
    changed: bool  # the machine or the lab
    items: tuple[PreparedRow, ...]
    notes: tuple[str, ...]
    url: str | None  # where its API answers
    text: str  # what it is to the lab now


@dataclass(frozen=True, slots=True)
class HostResult:
    """A host that was added, changed or removed."""

    name: str
    changed: bool
    text: str
