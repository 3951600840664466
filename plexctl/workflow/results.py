"""What verbs answer: values that one renderer turns into text or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.provision.engine import Action


@dataclass(frozen=True, slots=True)
class Changed:
    """One object that a run would change, or has changed."""

    action: Action
    kind: str
    name: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanResult:
    plex: str
    bake: tuple[str, ...]  # types whose image would be baked first
    changes: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as its plex file, its host and its cluster know it."""

    name: str
    role: str
    type: str
    host: str
    address: str
    instance: str  # "Running", "Stopped", "missing"
    ready: bool | None  # None: the cluster does not say
    version: str
    note: str


@dataclass(frozen=True, slots=True)
class UpResult:
    plex: str
    changes: tuple[Changed, ...]
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "api", "nodes", "dns", "all": since the command began
    run: str
    kubeconfig: Path


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    well: bool
    api: str
    dns: str
    nodes: tuple[NodeRow, ...]


@dataclass(frozen=True, slots=True)
class DestroyResult:
    plex: str
    removed: tuple[Changed, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRow:
    plex: str
    current: bool
    kubernetes: str
    nodes: int
    running: int
    network: str


@dataclass(frozen=True, slots=True)
class ListResult:
    plexes: tuple[ListRow, ...]


@dataclass(frozen=True, slots=True)
class ImageRow:
    type: str
    host: str
    kubernetes: str
    name: str
    changed: bool


@dataclass(frozen=True, slots=True)
class BakeResult:
    images: tuple[ImageRow, ...]
    pruned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotRow:
    """A component of the depot."""

    component: str
    version: str
    source: str  # "release", "gobuild" or "dir"
    artifacts: int
    size: int  # bytes
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotResult:
    folder: Path
    components: tuple[DepotRow, ...]


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A file of the depot whose bytes have changed, or that is gone."""

    component: str
    version: str
    name: str
    expected: str  # SHA-256 in hex
    found: str  # the same, or "nothing"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    components: int  # how many were whole before
    damaged: tuple[DamagedRow, ...]


@dataclass(frozen=True, slots=True)
class PruneResult:
    components: tuple[str, ...]  # "kubernetes 1.35.4"
    freed: int  # bytes


@dataclass(frozen=True, slots=True)
class InitResult:
    root: Path
    plex: str
    written: tuple[Path, ...]
    key: Path | None  # what opens the lab's seed; None: a passphrase


@dataclass(frozen=True, slots=True)
class UseResult:
    plex: str


@dataclass(frozen=True, slots=True)
class KubeconfigResult:
    plex: str
    file: Path
    context: str
    changed: bool
