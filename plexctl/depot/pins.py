"""What a depot may hold: the pins of `plexctl/pins`, read and checked."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from plexctl.errors import PlexError

KUBERNETES = "kubernetes"
IMAGES = "images"
RECIPE = 1
"""Part of every key: a new number makes all that was built before stale."""

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Download:
    """One file of an official release. It is an artifact itself, or an archive of some."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    url: str  # with {version} and {arch}
    sha256: Mapping[str, str] = field(default_factory=dict)  # by architecture
    artifact: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)  # artifact -> path in the archive


@dataclass(frozen=True, slots=True)
class ReleasePin:
    """A component as its project releases it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    version: str
    downloads: tuple[Download, ...]


@dataclass(frozen=True, slots=True)
class GoPin:
    """A component as it is built: some programs of one module."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    version: str
    module: str
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImagePin:
    """A container image that kubeadm asks for, and the module that it is made of when built."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    reference: str  # "registry.k8s.io/etcd:3.6.8-0"
    module: str

    @property
    def tag(self) -> str:
        return self.reference.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class CProgram:
    """A program in C whose source comes along in a Go module."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    version: str
    module: str
    source: str  # path in the module


@dataclass(frozen=True, slots=True)
class GoModule:
    """Programs built together, from one go.mod and go.sum."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    version: str
    core_seconds: int  # processor time of a build from cold
    programs: Mapping[str, str]  # program -> package
    variables: Mapping[str, str] = field(default_factory=dict)  # set by the linker (-X)
    cgo: tuple[str, ...] = ()  # pkg-config names of the C libraries it needs; empty: no C
    tags: tuple[str, ...] = ()
    c_programs: Mapping[str, CProgram] = field(default_factory=dict)
    go_mod: str = ""  # the files' content
    go_sum: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """A set of artifacts that are fetched, stored and installed together.

    `key` is a hash of all that decides its bytes; the depot's index is by it. Either `images` are
    what it holds, or `release` and `gobuild` say where its programs come from.
    """

    name: str
    artifacts: tuple[str, ...]
    versions: tuple[str, ...]  # those that may serve, the release's first
    release: ReleasePin | None
    gobuild: GoPin | None
    images: Mapping[str, ImagePin]
    modules: Mapping[str, GoModule]  # those that `gobuild` builds it from
    architecture: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class KubernetesRelease:
    """All that a node of one version of Kubernetes is made of."""

    version: str  # "1.36.3"
    components: Mapping[str, Component]
    images: Mapping[str, str]  # name -> reference that kubeadm asks for

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
    """Every release of Kubernetes that this plexctl can make nodes of."""

    releases: tuple[KubernetesRelease, ...]

    def versions(self) -> tuple[str, ...]:
        """Supported versions of Kubernetes, the newest first."""
        return tuple(release.version for release in self.releases)

    def release(self, kubernetes: str) -> KubernetesRelease:
        """PlexError if that version is not pinned."""
        for release in self.releases:
            if release.version == kubernetes:
                return release
        raise PlexError(
            f"Kubernetes {kubernetes} is not supported",
            hint=f"supported: {', '.join(self.versions())}",
        )


@dataclass(frozen=True, slots=True)
class _Shared:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    release: ReleasePin
    gobuild: GoPin


@dataclass(frozen=True, slots=True)
class _Kubernetes:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    release: ReleasePin
    gobuild: GoPin
    images: Mapping[str, ImagePin]


@dataclass(frozen=True, slots=True)
class _File:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    components: Mapping[str, _Shared]
    kubernetes: Mapping[str, _Kubernetes]
    modules: Mapping[str, GoModule]


def machine_architecture() -> str:
    """This machine's architecture in Go's words; PlexError if there are no artifacts for it."""
    machine = platform.machine()
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in known:
        raise PlexError(f"there are no artifacts for this machine's architecture, {machine}")
    return known[machine]


def load_pins(folder: Path | None = None, architecture: str | None = None) -> Pins:
    """Read the pins: those built in, or a folder of the same layout."""
    root: Traversable = folder or files("plexctl") / "pins"
    arch = architecture or machine_architecture()
    try:
        raw = yaml.load((root / "pins.yaml").read_text(), _Loader)  # noqa: S506 - a safe loader
        pins = TypeAdapter(_File).validate_python(raw)
        modules = {name: _with_files(module, root / name) for name, module in pins.modules.items()}
        releases = tuple(
            _release(version, pins, modules, arch)
            for version in sorted(pins.kubernetes, key=_version_key, reverse=True)
        )
    except ValidationError as error:
        details = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PlexError(f"the pins in {root} are wrong", details=details) from error
    except (OSError, yaml.YAMLError, KeyError) as error:
        raise PlexError(f"the pins in {root} cannot be read", details=[str(error)]) from error
    return Pins(releases)


_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Scalars stay text, so that no version turns into a number; pydantic reads the few numbers."""


def _with_files(module: GoModule, folder: Traversable) -> GoModule:
    return replace(
        module,
        go_mod=(folder / "go.mod").read_text(),
        go_sum=(folder / "go.sum").read_text(),
    )


def _release(
    version: str, pins: _File, modules: Mapping[str, GoModule], arch: str
) -> KubernetesRelease:
    own = pins.kubernetes[version]
    programs: dict[str, _Shared | _Kubernetes] = {KUBERNETES: own, **pins.components}
    components = [_programs(name, shared, modules, arch) for name, shared in programs.items()]
    components.append(_images(version, own.images, modules, arch))
    return KubernetesRelease(
        version=version,
        components={component.name: component for component in components},
        images={name: image.reference for name, image in own.images.items()},
    )


def _programs(
    name: str, pin: _Shared | _Kubernetes, modules: Mapping[str, GoModule], arch: str
) -> Component:
    return _keyed(
        Component(
            name=name,
            artifacts=pin.gobuild.programs,
            versions=tuple(dict.fromkeys((pin.release.version, pin.gobuild.version))),
            release=pin.release,
            gobuild=pin.gobuild,
            images={},
            modules={pin.gobuild.module: modules[pin.gobuild.module]},
            architecture=arch,
        )
    )


def _images(
    version: str, images: Mapping[str, ImagePin], modules: Mapping[str, GoModule], arch: str
) -> Component:
    return _keyed(
        Component(
            name=IMAGES,
            artifacts=tuple(f"{name}.tar" for name in images),
            versions=(version,),
            release=None,
            gobuild=None,
            images=images,
            modules={image.module: modules[image.module] for image in images.values()},
            architecture=arch,
        )
    )


def _keyed(component: Component) -> Component:
    inputs = json.dumps([RECIPE, asdict(component)], sort_keys=True)
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    return replace(component, key=f"{component.name}-{component.versions[0]}-{digest}")


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
