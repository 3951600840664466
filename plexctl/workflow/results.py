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
    name: str
    changed: bool


@dataclass(frozen=True, slots=True)
class BakeResult:
    images: tuple[ImageRow, ...]
    pruned: tuple[str, ...]
