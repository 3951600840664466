"""The components of a depot, and where each comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from plexctl.depot.packages import PACKAGES
from plexctl.errors import PlexError

RECIPE = 1
"""Part of every key. A change of how programs or images are built needs a new number, so that
older results are not taken for the same."""


class SourceName(StrEnum):
    """The sources of components, in the order in which the depot tries them."""

    DIR = "dir"
    RELEASE = "release"
    GOBUILD = "gobuild"


@dataclass(frozen=True, slots=True)
class Download:
    """One file of an official release: an artifact, or an archive of several."""

    url: str  # with {version} and {arch}
    sha256: Mapping[str, str] = field(default_factory=dict)  # by architecture
    artifact: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)  # artifact -> path in it, with {arch}


@dataclass(frozen=True, slots=True)
class ReleasePin:
    """A component as its project releases it."""

    version: str
    downloads: tuple[Download, ...]


@dataclass(frozen=True, slots=True)
class GoPin:
    """A component as plexctl builds it: programs of one module."""

    version: str
    module: str
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImagePin:
    """A container image, and the module that plexctl builds it from."""

    reference: str  # "registry.k8s.io/etcd:3.6.8-0"
    module: str = ""  # empty: it can only be pulled

    @property
    def tag(self) -> str:
        return self.reference.rpartition(":")[2]

    def of(self, architecture: str) -> str:
        """The name in depot.lock of the image for one architecture."""
        return f"{self.reference} linux/{architecture}"


@dataclass(frozen=True, slots=True)
class FilePin:
    """A file of a release, and the YAML of a Go module that stands for it in a build."""

    url: str
    module: str = ""  # empty: no module contains it
    source: str = ""  # the Go module's path
    path: str = ""  # in the module: the file, or a folder whose YAML files make up the file

    def __post_init__(self) -> None:
        if self.module and not (self.source and self.path):
            raise ValueError(f"{self.url}: a module needs source and path")


@dataclass(frozen=True, slots=True)
class CProgram:
    """A program in C whose source is in a Go module."""

    version: str
    module: str
    source: str  # path in the module


@dataclass(frozen=True, slots=True)
class GoModule:
    """Programs that are built together, from one go.mod and go.sum."""

    version: str
    core_seconds: int  # processor time of a build from cold
    programs: Mapping[str, str]  # program -> package
    variables: Mapping[str, str] = field(default_factory=dict)  # set by the linker (-X)
    cgo: tuple[str, ...] = ()  # pkg-config names of necessary C libraries; empty: no C
    tags: tuple[str, ...] = ()
    c_programs: Mapping[str, CProgram] = field(default_factory=dict)
    go_mod: str = ""  # the files' content
    go_sum: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)  # our own: file name -> content


@dataclass(frozen=True)
class Component:
    """A set of artifacts that are fetched, stored and installed together.

    `key` is a hash of all inputs that decide its bytes; it is the key in the depot's index. A
    component has either `images` and `files`, or programs from `release` or `gobuild`. plexctl's
    own programs have no release. Nodes work without an `optional` component: if no source can
    serve it, the depot stores it without artifacts.
    """

    name: str
    artifacts: tuple[str, ...]
    versions: tuple[str, ...]  # acceptable versions, the release's first
    release: ReleasePin | None  # None also for programs that are only built
    gobuild: GoPin | None
    images: Mapping[str, ImagePin]
    modules: Mapping[str, GoModule]  # the modules that `gobuild` builds it from
    architecture: str
    files: Mapping[str, FilePin] = field(default_factory=dict)  # by artifact
    optional: bool = False

    @cached_property
    def key(self) -> str:
        """Computed when it is needed: no run needs the keys of all components."""
        # The duration of a build does not decide its result, nor does whether nodes need it.
        modules = {name: replace(one, core_seconds=0) for name, one in self.modules.items()}
        fields = asdict(replace(self, modules=modules))
        del fields["optional"]
        if packages := {name: PACKAGES[name] for name in self.images if name in PACKAGES}:
            fields["packages"] = packages
        # Depots that exist were named when `key` was a field, and empty here.
        inputs = json.dumps([RECIPE, fields | {"key": ""}], sort_keys=True)
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
        return f"{self.name}-{self.versions[0]}-{digest}"

    @property
    def unbuildable(self) -> tuple[str, ...]:
        """Artifacts that no module contains: a depot that is built lacks them."""
        images = (f"{name}.tar" for name, image in self.images.items() if not image.module)
        return (*images, *(name for name, file in self.files.items() if not file.module))


@dataclass(frozen=True, slots=True)
class KubernetesRelease:
    """All components of a node with one version of Kubernetes."""

    version: str  # "1.36.3"
    components: Mapping[str, Component]
    images: Mapping[str, str]  # name -> reference that kubeadm uses

    def component(self, name: str) -> Component:
        """PlexError if there is none of that name."""
        if name not in self.components:
            raise PlexError(
                f"the depot has no component {name!r}",
                hint=f"it has {', '.join(sorted(self.components))}",
            )
        return self.components[name]


@dataclass(frozen=True, slots=True)
class Pins:
    """Every release of Kubernetes that this plexctl supports.

    A release is computed when it is needed: few runs need more than one, and each takes a
    millisecond or two.
    """

    supported: tuple[str, ...]  # versions, the newest first
    names: frozenset[str]  # of the components that every release has
    compute: Callable[[str], KubernetesRelease]  # the release of a supported version

    @property
    def releases(self) -> tuple[KubernetesRelease, ...]:
        """All releases, the newest first."""
        return tuple(map(self.compute, self.supported))

    def versions(self) -> tuple[str, ...]:
        """Supported versions of Kubernetes, the newest first."""
        return self.supported

    def keys(self) -> frozenset[str]:
        """The keys of all components, of every version."""
        return frozenset(one.key for r in self.releases for one in r.components.values())

    def components(self) -> frozenset[str]:
        """The names of all components, of any version."""
        return self.names

    def release(self, kubernetes: str) -> KubernetesRelease:
        """PlexError if that version is not pinned."""
        if kubernetes not in self.supported:
            raise PlexError(
                f"Kubernetes {kubernetes} is not supported",
                hint=f"supported: {', '.join(self.supported)}",
            )
        return self.compute(kubernetes)
