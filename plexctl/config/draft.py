"""The files of a lab after reading, before the checks across files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from plexctl.config.builtin import builtin, names, overlay
from plexctl.config.fields import (
    BASES,
    PLEX,
    TYPE,
    BaseFields,
    PlexFields,
    TypeFields,
)
from plexctl.config.host_fields import HOSTS, HostsFields
from plexctl.config.shape import Shape, T, Unreadable
from plexctl.config.source import YamlFile, read
from plexctl.model.folder import lab_file

BASES_FILE = "bases.yaml"


@dataclass(frozen=True, slots=True)
class Draft(Generic[T]):
    """A file: its source with all problems so far, and its fields, unless it cannot be read.

    A field with a fault has its default in `fields`; `source.sound` reports whether it has one.
    """

    source: YamlFile
    fields: T | None


@dataclass(frozen=True, slots=True)
class Drafts:
    """All files of a lab, by the names of the types and plexes that they declare."""

    root: Path
    hosts: Draft[HostsFields]
    bases: tuple[Draft[dict[str, BaseFields]], ...]  # the built-in ones, then the lab's own
    types: Mapping[str, Draft[TypeFields]]
    plexes: Mapping[str, Draft[PlexFields]]
    misnamed: tuple[YamlFile, ...] = ()  # files that would be ignored: their ending is .yml

    def sources(self) -> Iterator[YamlFile]:
        yield self.hosts.source
        yield from self.misnamed
        for group in (self.bases, self.types.values(), self.plexes.values()):
            for draft in group:
                yield draft.source


def draft_lab(root: Path) -> Drafts:
    """Read all files of the lab at `root`. UsageError for a link that leads out of the lab."""
    bases = dict.fromkeys(
        (builtin("types") / BASES_FILE, overlay(root, "types", BASES_FILE))  # often the same
    )
    types = [
        Path(name).stem
        for name in names(root, "types")
        if name.endswith(".yaml") and name != BASES_FILE
    ]
    hosts = root / "clusters" / "hosts.yaml"
    plexes = [
        file
        for folder in sorted((root / "clusters").glob("*"))
        if os.path.lexists(file := folder / "plex.yaml")  # also a link to nothing: it is reported
    ]
    for file in (hosts, *plexes):
        lab_file(root, file)
    return Drafts(
        root=root,
        hosts=_draft(hosts, HOSTS),
        bases=tuple(_draft(file, BASES) for file in bases),
        types={name: _draft(overlay(root, "types", f"{name}.yaml"), TYPE) for name in types},
        plexes={file.parent.name: _draft(file, PLEX) for file in plexes},
        misnamed=tuple(_misnamed(root)),
    )


def _misnamed(root: Path) -> Iterator[YamlFile]:
    """Files with the ending .yml where plexctl reads .yaml, each with a problem."""
    patterns = ("clusters/hosts.yml", "clusters/*/plex.yml", "types/*.yml", "pins/pins.yml")
    for file in sorted(file for pattern in patterns for file in root.glob(pattern)):
        source = YamlFile(file)
        source.report((), "is not read: its ending must be .yaml", f"rename it to {file.stem}.yaml")
        yield source


def _draft(file: Path, shape: Shape[T]) -> Draft[T]:
    source = read(file)
    if not source.parsed:
        return Draft(source, None)
    try:
        return Draft(source, shape.read(source.value, source, ()))
    except Unreadable:
        return Draft(source, None)
