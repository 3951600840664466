"""Results of commands about plexes and their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.provision.change import Action
from plexctl.results.apps import AppsResult

UNKNOWN = "unknown"
"""Status of an instance on an unreachable host."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """An object that `up` would change, or has changed."""

    action: Action
    kind: str
    name: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class TofuPlan:
    """The plan of OpenTofu for the same changes."""

    changes: tuple[str, ...]  # "create module.incus.module.master.incus_instance.node[\"demo1\"]"
    text: str  # the output of `tofu plan`


@dataclass(frozen=True, slots=True)
class EngineResult:
    """The engine of a plex, after `plexctl engine`."""

    plex: str
    engine: str
    changed: bool


@dataclass(frozen=True, slots=True)
class PlanResult:
    plex: str
    types_to_bake: tuple[str, ...]  # types of nodes whose image is missing
    changes: tuple[ChangeRow, ...]
    tofu: TofuPlan | None = None  # None: the engine is not OpenTofu
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host

    @property
    def empty(self) -> bool:
        """Whether `up` would change nothing."""
        return not (self.changes or self.types_to_bake or (self.tofu and self.tofu.changes))


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
class UpResult:
    plex: str
    changes: tuple[ChangeRow, ...]
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "api", "nodes", "dns", "all": since the run began
    run: str
    kubeconfig: Path
    apps: AppsResult | None = None  # None: the plex has no apps


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    healthy: bool
    api: str
    dns: str
    nodes: tuple[NodeRow, ...]
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host


@dataclass(frozen=True, slots=True)
class LogResult:
    """The last lines of a node's log."""

    node: str
    unit: str | None  # None: all units
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DestroyResult:
    plex: str
    deleted: tuple[ChangeRow, ...]
    images: tuple[str, ...]


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
