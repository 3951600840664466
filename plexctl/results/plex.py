"""What verbs about plexes and their nodes answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.provision.change import Action
from plexctl.results.apps import AppsResult

UNKNOWN = "unknown"
"""What an instance is whose host does not answer."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One object that a run would change, or has changed."""

    action: Action
    kind: str
    name: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class TofuPlan:
    """The same plan as OpenTofu has it."""

    changes: tuple[str, ...]  # "create module.incus.incus_instance.master[\"demo1\"]"
    text: str  # as it shows it


@dataclass(frozen=True, slots=True)
class EngineResult:
    """A plex that another engine makes from now on."""

    plex: str
    engine: str
    changed: bool


@dataclass(frozen=True, slots=True)
class PlanResult:
    plex: str
    bake: tuple[str, ...]  # types whose image would be baked first
    changes: tuple[ChangeRow, ...]
    tofu: TofuPlan | None = None  # of a plex that OpenTofu makes
    unreachable: tuple[
        str, ...
    ] = ()  # of each host that does not answer, why: nothing is said of it

    @property
    def nothing(self) -> bool:
        """Whether `up` would change nothing."""
        return not (self.changes or self.bake or (self.tofu and self.tofu.changes))


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as its plex file, its host and its cluster know it."""

    name: str
    role: str
    type: str
    host: str
    address: str
    instance: str  # "Running", "Stopped", "missing", "unknown" where its host does not answer
    ready: bool | None  # None: the cluster does not say
    version: str
    note: str


@dataclass(frozen=True, slots=True)
class UpResult:
    plex: str
    changes: tuple[ChangeRow, ...]
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "api", "nodes", "dns", "all": since the command began
    run: str
    kubeconfig: Path
    apps: AppsResult | None = None  # None: nothing brings up any


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    healthy: bool
    api: str
    dns: str
    nodes: tuple[NodeRow, ...]
    unreachable: tuple[str, ...] = ()  # of each host that does not answer, why


@dataclass(frozen=True, slots=True)
class LogResult:
    """What a node has logged last."""

    node: str
    unit: str | None  # None: all of them
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DestroyResult:
    plex: str
    removed: tuple[ChangeRow, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRow:
    plex: str
    current: bool
    kubernetes: str
    nodes: int
    running: int  # as far as hosts answer
    network: str


@dataclass(frozen=True, slots=True)
class ListResult:
    plexes: tuple[ListRow, ...]
    unreachable: tuple[str, ...] = ()  # of each host that does not answer, why
