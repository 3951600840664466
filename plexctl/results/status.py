"""Results of commands that show the state of plexes and their nodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node according to its plex file, its host and its cluster."""

    name: str
    role: str
    type: str
    host: str
    address: str
    instance: str  # "Running", "Stopped", "missing", or "unknown" on an unreachable host
    ready: bool | None  # None: unknown
    version: str
    note: str


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    healthy: bool
    api: str
    dns: str
    nodes: tuple[NodeRow, ...]
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host
    notes: tuple[str, ...] = ()  # hosts with another time, and objects that have no effect
    etcd: str = ""  # with several masters: "3 of 3 members are healthy, demo2 leads"
    endpoint: str = ""  # with several masters: the one that has the address of the API


@dataclass(frozen=True, slots=True)
class ListRow:
    plex: str
    current: bool
    kubernetes: str
    nodes: int
    running: int  # on reachable hosts
    network: str


@dataclass(frozen=True, slots=True)
class ListResult:
    plexes: tuple[ListRow, ...]
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host
