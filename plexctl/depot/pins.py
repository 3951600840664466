"""The pins of `plexctl/pins`: what a depot may contain."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from plexctl.depot.components import (
    Component,
    CProgram,
    Download,
    FilePin,
    GoModule,
    GoPin,
    ImagePin,
    KubernetesRelease,
    Pins,
    ReleasePin,
)
from plexctl.errors import PlexError, UsageError

KUBERNETES = "kubernetes"
IMAGES = "images"
PINS = "pins.yaml"
RECIPE = 1
"""Part of every key. A change of how programs or images are built needs a new number, so that
older results are not taken for the same."""


def machine_architecture() -> str:
    """This machine's architecture by Go's name. PlexError if there are no artifacts for it."""
    machine = platform.machine()
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in known:
        raise PlexError(f"there are no artifacts for this machine's architecture, {machine}")
    return known[machine]


def load_pins(over: Path | None = None, architecture: str | None = None) -> Pins:
    """The built-in pins, with those of a lab's folder `over` merged into them by name.

    `over` has the same layout. It may be missing, and so may every part that it does not change.
    """
    builtin: Traversable = files("plexctl") / "pins"
    arch = architecture or machine_architecture()
    root: Traversable = builtin
    try:
        raw = _read(builtin)
        if over is not None and os.path.lexists(over / PINS):
            from plexctl.depot.check_pins import read_pins  # few labs have pins of their own

            root = over
            own = read_pins(over / PINS)
            raw = {section: entries | own.get(section, {}) for section, entries in raw.items()}
        modules = {
            name: _module(fields, builtin, over, name) for name, fields in raw["modules"].items()
        }
        shared = [
            _component(name, fields, modules, arch) for name, fields in raw["components"].items()
        ]
        releases = [
            _release(version, fields, shared, modules, arch)
            for version, fields in raw["kubernetes"].items()
        ]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the pins in {root} cannot be read", details=[repr(error)]) from error
    return Pins(tuple(sorted(releases, key=_version_of, reverse=True)))


def _read(folder: Traversable) -> dict[str, dict[str, Any]]:
    """Scalars stay text, so that no version becomes a number."""
    text = (folder / PINS).read_text()
    return dict(yaml.load(text, yaml.CBaseLoader))  # noqa: S506 - it creates nothing but text


_Fields = dict[str, Any]
"""A mapping of the file. A dataclass is created from it at once and refuses unknown names."""


def _module(fields: _Fields, builtin: Traversable, over: Path | None, name: str) -> GoModule:
    folder = over / name if over is not None and (over / name).is_dir() else builtin / name
    c_programs = {name: CProgram(**one) for name, one in fields.pop("c_programs", {}).items()}
    return GoModule(
        core_seconds=int(fields.pop("core_seconds")),
        cgo=tuple(fields.pop("cgo", ())),
        tags=tuple(fields.pop("tags", ())),
        c_programs=c_programs,
        go_mod=(folder / "go.mod").read_text(),
        go_sum=(folder / "go.sum").read_text(),
        sources={file: (folder / file).read_text() for file in fields.pop("sources", ())},
        **fields,
    )


def _release(
    version: str,
    fields: _Fields,
    shared: list[Component],
    modules: Mapping[str, GoModule],
    arch: str,
) -> KubernetesRelease:
    images = {name: ImagePin(**one) for name, one in fields["images"].items()}
    programs = _programs(KUBERNETES, fields["release"], fields["gobuild"], modules, arch)
    components = (programs, *shared, _images(IMAGES, version, images, {}, modules, arch))
    return KubernetesRelease(
        version=version,
        components={component.name: component for component in components},
        images={name: image.reference for name, image in images.items()},
    )


def _component(name: str, fields: _Fields, modules: Mapping[str, GoModule], arch: str) -> Component:
    if "images" not in fields:
        return _programs(name, fields["release"], fields["gobuild"], modules, arch)
    images = {name: ImagePin(**one) for name, one in fields["images"].items()}
    files = {name: FilePin(**one) for name, one in fields.get("files", {}).items()}
    return _images(name, fields["version"], images, files, modules, arch)


def _programs(
    name: str, release: _Fields, gobuild: _Fields, modules: Mapping[str, GoModule], arch: str
) -> Component:
    downloads = tuple(Download(**one) for one in release.pop("downloads"))
    pin = GoPin(programs=tuple(gobuild.pop("programs")), **gobuild)
    official = ReleasePin(downloads=downloads, **release)
    return _keyed(
        Component(
            name=name,
            artifacts=pin.programs,
            versions=tuple(dict.fromkeys((official.version, pin.version))),
            release=official,
            gobuild=pin,
            images={},
            modules={pin.module: modules[pin.module]},
            architecture=arch,
        )
    )


def _images(
    name: str,
    version: str,
    images: Mapping[str, ImagePin],
    files: Mapping[str, FilePin],
    modules: Mapping[str, GoModule],
    arch: str,
) -> Component:
    used = {image.module for image in images.values()} | {file.module for file in files.values()}
    return _keyed(
        Component(
            name=name,
            artifacts=(*(f"{image}.tar" for image in images), *files),
            versions=(version,),
            release=None,
            gobuild=None,
            images=images,
            modules={module: modules[module] for module in sorted(used - {""})},
            architecture=arch,
            files=files,
        )
    )


def _keyed(component: Component) -> Component:
    # The duration of a build does not decide its result.
    modules = {name: replace(one, core_seconds=0) for name, one in component.modules.items()}
    inputs = json.dumps([RECIPE, asdict(replace(component, modules=modules))], sort_keys=True)
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    return replace(component, key=f"{component.name}-{component.versions[0]}-{digest}")


def _version_of(release: KubernetesRelease) -> tuple[int, ...]:
    return tuple(int(part) for part in release.version.split("."))
