"""Results of commands that show the state of plexes and their nodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node according to its plex file, its host and its cluster."""

    name: str
    role: str  # "master", "worker" or "plain": does not run Kubernetes
    type: str
    host: str
    address: str  # on the network of nodes
    instance: str  # "Running", "Stopped", "missing", or "unknown" on an unreachable host
    ready: bool | None  # None: unknown
    version: str  # of its kubelet: "v1.36.3"; "": unknown
    note: str  # why it is not as it should be; "": nothing to note


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    healthy: bool
    api: str  # "answers", or why it does not
    dns: str  # "available", "unknown", or how many pods of CoreDNS are Ready
    nodes: tuple[NodeRow, ...]
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host
    notes: tuple[str, ...] = ()  # hosts with another time, and objects that have no effect
    etcd: str = ""  # with several masters: "3 of 3 members are healthy, demo2 leads"
    endpoint: str = ""  # with several masters: the one that has the address of the API


@dataclass(frozen=True, slots=True)
class ListRow:
    plex: str
    current: bool  # whether verbs without a name work on it
    kubernetes: str  # its version of Kubernetes
    nodes: int  # in its file
    running: int  # on reachable hosts
    network: str  # of its nodes


@dataclass(frozen=True, slots=True)
class ListResult:
    plexes: tuple[ListRow, ...]
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host
