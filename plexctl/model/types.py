"""What a node is: its type, the OS it is baked on, and its size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from plexctl.model.gitops import GitopsEngine


class Form(StrEnum):
    CONTAINER = "container"
    VM = "vm"


class BaseSource(StrEnum):
    DEBOOTSTRAP = "debootstrap"
    IMAGES = "images"  # an image server that speaks simplestreams
    CLOUD = "cloud"  # a disk image with cloud-init


@dataclass(frozen=True, slots=True)
class Base:
    """An operating system that a type is baked on (`types/bases.yaml`)."""

    name: str  # "debian12"
    release: str  # "bookworm"
    form: Form
    source: BaseSource
    packages: tuple[str, ...]  # what the root file system has besides the minimum
    mirror: str | None  # package mirror; None: the one that this machine uses
    server: str | None  # of source `images`: https://images.linuxcontainers.org
    image: str | None  # of source `images`: "debian/12"
    url: str | None = None  # of source `cloud`: a disk in qcow2
    checksum: str | None = None  # of that disk: "sha512:…"


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of a bake, an image of its own: `roles/<role>/tasks/<name>.yml`."""

    name: str  # "runtime"
    artifacts: tuple[str, ...]  # names of depot components it installs: "containerd"
    engine: GitopsEngine | None = None  # only plexes whose apps this engine brings up have it


@dataclass(frozen=True, slots=True)
class Size:
    """Limits of a node; None means no limit."""

    cpu: int | None = None
    memory: int | None = None  # bytes
    disk: int | None = None  # bytes


@dataclass(frozen=True, slots=True)
class NodeType:
    """What a node is (`types/<name>.yaml`)."""

    name: str
    role: str  # folder below roles/
    base: Base
    layers: tuple[Layer, ...]
    kubernetes: bool  # whether nodes of this type join the cluster
    privileged: bool
    size: Size
    pci: tuple[str, ...] = ()  # devices handed to each node, by the names that hosts give them

    @property
    def shares(self) -> bool:
        """Whether its nodes on an Incus host have what is alike in all of them from one volume.

        An unprivileged container sees other owners of its files than the next one.
        """
        container = self.base.form is Form.CONTAINER
        return self.kubernetes and self.privileged and container

    def with_engine(self, engine: GitopsEngine | None) -> NodeType:
        """As nodes of a plex with that engine have it."""
        fitting = tuple(layer for layer in self.layers if layer.engine in (None, engine))
        return replace(self, layers=fitting)
