"""Types of nodes: the OS they are baked on, their layers and their size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from plexctl.model.gitops import GitopsEngine


class Form(StrEnum):
    CONTAINER = "container"
    VM = "vm"


class BaseSource(StrEnum):
    DEBOOTSTRAP = "debootstrap"
    IMAGES = "images"  # an image server with simplestreams
    CLOUD = "cloud"  # a disk image with cloud-init


@dataclass(frozen=True, slots=True)
class Base:
    """An operating system that a type is baked on (`types/bases.yaml`)."""

    name: str  # "debian12"
    release: str  # "bookworm"
    form: Form
    source: BaseSource
    packages: tuple[str, ...]  # in the root file system, besides the minimum
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
    engine: GitopsEngine | None = None  # only for plexes with this GitOps engine


@dataclass(frozen=True, slots=True)
class Size:
    """Limits of a node; None means no limit."""

    cpu: int | None = None
    memory: int | None = None  # bytes
    disk: int | None = None  # bytes


@dataclass(frozen=True, slots=True)
class NodeType:
    """The type of a node (`types/<name>.yaml`)."""

    name: str
    role: str  # folder below roles/
    base: Base
    layers: tuple[Layer, ...]
    kubernetes: bool  # whether nodes of this type join the cluster
    privileged: bool
    size: Size
    pci: tuple[str, ...] = ()  # devices passed to each node, by their names in hosts.yaml

    @property
    def shares(self) -> bool:
        """Whether nodes on an Incus host mount one volume with the files that they have in common.

        An unprivileged container sees other owners of its files than the next one.
        """
        container = self.base.form is Form.CONTAINER
        return self.kubernetes and self.privileged and container

    def with_engine(self, engine: GitopsEngine | None) -> NodeType:
        """The type with the layers for a plex with that GitOps engine."""
        fitting = tuple(layer for layer in self.layers if layer.engine in (None, engine))
        return replace(self, layers=fitting)
