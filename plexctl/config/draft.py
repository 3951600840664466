"""The files of a lab after reading, before the checks across files."""

from __future__ import annotations

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

    def sources(self) -> Iterator[YamlFile]:
        yield self.hosts.source
        for group in (self.bases, self.types.values(), self.plexes.values()):
            for draft in group:
                yield draft.source


def draft_lab(root: Path) -> Drafts:
    """Read all files of the lab at `root`."""
    bases = dict.fromkeys(folder / BASES_FILE for folder in (builtin("types"), root / "types"))
    types = [
        Path(name).stem
        for name in names(root, "types")
        if name.endswith(".yaml") and name != BASES_FILE
    ]
    plexes = sorted((root / "clusters").glob("*/plex.yaml"))
    return Drafts(
        root=root,
        hosts=_draft(root / "clusters" / "hosts.yaml", HOSTS),
        bases=tuple(_draft(file, BASES) for file in bases if file.exists()),
        types={name: _draft(overlay(root, "types", f"{name}.yaml"), TYPE) for name in types},
        plexes={file.parent.name: _draft(file, PLEX) for file in plexes},
    )


def _draft(file: Path, shape: Shape[T]) -> Draft[T]:
    source = read(file)
    if not source.parsed:
        return Draft(source, None)
    try:
        return Draft(source, shape.read(source.value, source, ()))
    except Unreadable:
        return Draft(source, None)
