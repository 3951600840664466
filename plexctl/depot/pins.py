"""The pins of `plexctl/pins`: what a depot may contain."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from plexctl.depot.fit_pins import PinFault

KUBERNETES = "kubernetes"
IMAGES = "images"
PINS = "pins.yaml"
BUILTIN = Path(__file__).parents[1] / "pins"


def machine_architecture() -> str:
    """This machine's architecture by Go's name. PlexError if there are no artifacts for it."""
    machine = platform.machine()
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in known:
        raise PlexError(f"there are no artifacts for this machine's architecture, {machine}")
    return known[machine]


def load_pins(
    over: Path | None = None, architecture: str | None = None, *, whole: bool = False
) -> Pins:
    """The built-in pins, with those of a lab's folder `over` merged into them by name.

    `over` has the same layout. It may be missing, and so may every part that it does not change.
    With `whole`, entries of `over` must have all programs and images that nodes need. ConfigError
    with file, line and field of everything that is wrong in `over`.
    """
    arch = architecture or machine_architecture()
    root = BUILTIN
    try:
        raw = _read(BUILTIN)
        if over is not None and os.path.lexists(over / PINS):
            # Few labs have pins of their own.
            from plexctl.depot.check_pins import read_pins
            from plexctl.depot.fit_pins import fit_faults, lack_faults

            root, own = over, read_pins(over / PINS)
            both = {name: raw[name] | own.sections.get(name, {}) for name in raw}
            lacking = lack_faults(own.sections, raw) if whole else ()
            files_missing = _file_faults(own.sections.get("modules", {}), over)
            own.refuse((*fit_faults(own.sections, both, arch), *lacking, *files_missing))
            raw = both
        modules = {name: _module(fields, over, name) for name, fields in raw["modules"].items()}
        shared = [
            _component(name, fields, modules, arch) for name, fields in raw["components"].items()
        ]
        versions = tuple(sorted(raw["kubernetes"], key=_numbers, reverse=True))
        # Each release is computed once: that takes its entry apart.
        compute = cache(
            lambda version: _release(version, raw["kubernetes"][version], shared, modules, arch)
        )
        if root == over:
            for version in versions:
                compute(version)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the pins in {root} cannot be read", details=[str(error)]) from error
    names = frozenset({KUBERNETES, IMAGES, *(component.name for component in shared)})
    return Pins(versions, names, compute)


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """Scalars stay text, so that no version becomes a number."""
    text = (folder / PINS).read_text()
    return dict(yaml.load(text, yaml.CBaseLoader))  # noqa: S506 - it creates nothing but text


def _file_faults(modules: Mapping[str, _Fields], over: Path) -> Iterator[PinFault]:
    for name, fields in modules.items():
        folder = _folder_of(name, over)
        for file in ("go.mod", "go.sum", *fields.get("sources", ())):
            if not (folder / file).is_file():
                message = f"the file {over / name / file} does not exist"
                yield ("modules", name), message, "a module's folder has the files of its build"


def _folder_of(name: str, over: Path | None) -> Path:
    """The folder of a module: the lab's, if it has one of this name."""
    return over / name if over is not None and (over / name).is_dir() else BUILTIN / name


_Fields = dict[str, Any]
"""A mapping of the file. A dataclass is created from it at once and refuses unknown names."""


def _module(fields: _Fields, over: Path | None, name: str) -> GoModule:
    folder = _folder_of(name, over)
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
    programs = _programs(KUBERNETES, fields.get("release"), fields["gobuild"], modules, arch)
    components = (programs, *shared, _images(IMAGES, version, images, {}, modules, arch))
    return KubernetesRelease(
        version=version,
        components={component.name: component for component in components},
        images={name: image.reference for name, image in images.items()},
    )


def _component(name: str, fields: _Fields, modules: Mapping[str, GoModule], arch: str) -> Component:
    if "images" not in fields:
        optional = fields.get("optional") == "true"
        return _programs(
            name, fields.get("release"), fields["gobuild"], modules, arch, optional=optional
        )
    images = {name: ImagePin(**one) for name, one in fields["images"].items()}
    files = {name: FilePin(**one) for name, one in fields.get("files", {}).items()}
    return _images(name, fields["version"], images, files, modules, arch)


def _programs(
    name: str,
    release: _Fields | None,
    gobuild: _Fields,
    modules: Mapping[str, GoModule],
    arch: str,
    *,
    optional: bool = False,
) -> Component:
    pin = GoPin(programs=tuple(gobuild.pop("programs")), **gobuild)
    official = None
    if release is not None:
        downloads = tuple(Download(**one) for one in release.pop("downloads"))
        official = ReleasePin(downloads=downloads, **release)
    return Component(
        name=name,
        artifacts=pin.programs,
        versions=tuple(dict.fromkeys(one.version for one in (official, pin) if one)),
        release=official,
        gobuild=pin,
        images={},
        modules={pin.module: modules[pin.module]},
        architecture=arch,
        optional=optional,
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
    return Component(
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


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
