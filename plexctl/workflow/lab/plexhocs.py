"""The verbs `import plexhocs` and `export plexhocs`: plexes from and to a map in a tfvars file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from plexctl.config.builtin import overlay
from plexctl.config.draft import draft_lab
from plexctl.config.init import SCHEMAS, write_schemas
from plexctl.config.load import load_lab
from plexctl.config.networks import each, free_networks
from plexctl.config.plexhocs import (
    Place,
    Plexhocs,
    PlexShape,
    of_plexes,
    plain_type,
    ranges,
    shapes,
    variant,
)
from plexctl.config.schema import file_name
from plexctl.depot.pins import load_pins
from plexctl.errors import ConfigError, UsageError
from plexctl.model.files import write_new
from plexctl.model.lab import Lab
from plexctl.model.nodes import nodes
from plexctl.model.plex import Networks, Plex
from plexctl.results.lab import ImportResult

DEFAULT_TYPE = "kube"


def export(root: Path) -> Plexhocs:
    """The map that stands for the plexes of the lab at `root`."""
    return of_plexes(_load(root).plexes.values())


def import_(
    root: Path, found: Plexhocs, bases: Mapping[str, str], *, renumber: bool = False
) -> ImportResult:
    """Write the plexes of a map into the lab at `root`; nothing that is there is changed.

    `bases` has the lab's names for bases that the map calls otherwise. Where a type is baked on
    another base than its own, it gets a file beside it: types/kube-BASE.yaml. UsageError for what
    the lab does not know, or for a plex that is there and differs; ConfigError, and nothing
    written, if the lab could not be read with the new files.
    """
    lab = _load(root)
    wanted = shapes(_renamed(found, bases), renumber=renumber)
    if not wanted:
        raise UsageError("there is no plex in the map")
    _require_known(root, lab, wanted)
    unchanged = tuple(shape.name for shape in wanted if _is_there(lab, shape))
    new = [shape for shape in wanted if shape.name not in unchanged]
    files = {root / file: text for shape in new for file, text in _types(root, lab, shape).items()}
    used = [net for plex in lab.plexes.values() for net in each(plex.networks).values()]
    used += [lab.registry.network] if lab.registry else []
    minor = load_pins(root / "pins").versions()[0].rpartition(".")[0]
    for shape in new:
        networks = free_networks(used, shape.name)
        used += each(networks).values()
        file = root / "clusters" / shape.name / "plex.yaml"
        files[file] = plex_file(shape, minor, networks, lambda place: _type_name(lab, place))
    return ImportResult(_written(root, files), unchanged)


def _load(root: Path) -> Lab:
    return load_lab(root, load_pins(root / "pins").versions())


def _renamed(found: Plexhocs, names: Mapping[str, str]) -> Plexhocs:
    known = {base for bases in found.values() for base in bases}
    if unknown := sorted(set(names) - known):
        raise UsageError(f"the map has no base {', '.join(unknown)}")
    renamed: Plexhocs = {}
    for key, bases in found.items():
        for base, types in bases.items():
            merged = renamed.setdefault(key, {}).setdefault(names.get(base, base), {})
            for kind, numbers in types.items():
                merged[kind] = tuple(sorted((*merged.get(kind, ()), *numbers)))
    return renamed


def _require_known(root: Path, lab: Lab, wanted: tuple[PlexShape, ...]) -> None:
    places = [place for shape in wanted for place in shape.nodes]
    drafts = draft_lab(root)
    bases = {name for draft in drafts.bases if draft.fields for name in draft.fields}
    for kind, named, known, hint in (
        ("host", {p.host for p in places}, set(lab.hosts), "declare it in clusters/hosts.yaml"),
        ("type", {p.type for p in places}, set(lab.types), "it needs a file in types/"),
        ("base", {p.base for p in places}, bases, "--base OLD=NEW says which one it is here"),
    ):
        if unknown := sorted(named - known):
            there = f"there are: {', '.join(sorted(known))}"
            raise UsageError(
                f"the lab has no {kind} {', '.join(unknown)}", details=[there], hint=hint
            )


def _is_there(lab: Lab, shape: PlexShape) -> bool:
    """Whether the lab has the plex just so. UsageError if it has another one of this name."""
    if shape.name not in lab.plexes:
        return False
    plex = lab.plexes[shape.name]
    if _places(plex) != shape.nodes:
        raise UsageError(
            f"{plex.file.relative_to(lab.root)} is there, and has other nodes than the map",
            hint="it is never overwritten: change it, or take the plex out of the map",
        )
    return True


def _places(plex: Plex) -> tuple[Place, ...]:
    return tuple(
        Place(
            node.index,
            node.host,
            node.type.base.name,
            plain_type(node.type.name, node.type.base.name),
        )
        for node in nodes(plex)
    )


def _type_name(lab: Lab, place: Place) -> str:
    own = lab.types[place.type].base.name == place.base
    return place.type if own else variant(place.type, place.base)


def _types(root: Path, lab: Lab, shape: PlexShape) -> dict[Path, str]:
    """The files of types that the plex needs on other bases, and that are not there yet."""
    files = {}
    for place in shape.nodes:
        name = _type_name(lab, place)
        if name in lab.types:
            continue
        text = overlay(root, "types", f"{place.type}.yaml").read_text()
        # The schema is named by where the file is.
        lines = [
            line for line in text.splitlines() if not line.startswith("# yaml-language-server")
        ]
        new = re.sub(r"(?m)^base:.*$", f"base: {place.base}", "\n".join(lines)) + "\n"
        if yaml.safe_load(new) != {**yaml.safe_load(text), "base": place.base}:
            raise UsageError(
                f"types/{name}.yaml cannot be made of {place.type}.yaml",
                hint=f"write it yourself, with `base: {place.base}`",
            )
        files[Path("types", f"{name}.yaml")] = f"{_schema('..', 'type')}{new}"
    return files


def plex_file(
    shape: PlexShape, kubernetes: str, networks: Networks, type_of: Callable[[Place], str]
) -> str:
    """The plex file of `shape`. What most nodes have is said once, what differs in groups."""
    host = Counter(place.host for place in shape.nodes).most_common(1)[0][0]
    kind = type_of(shape.nodes[0])  # what the master is
    groups: dict[tuple[str, str], list[int]] = {}
    for place in shape.nodes:
        own = (place.host, type_of(place))
        if own != (host, kind):
            groups.setdefault(own, []).append(place.number)
    lines = [
        f'kubernetes: "{kubernetes}"',
        f"host: {host}",
        *([f"type: {kind}"] if kind != DEFAULT_TYPE else []),
        f"workers: {len(shape.nodes) - 1}",
        "networks:",
        *(f"  {name}: {network}" for name, network in each(networks).items()),
        *(["groups:"] if groups else []),
    ]
    for (where, what), numbers in groups.items():
        words = [f'nodes: "{ranges(numbers)}"']
        words += [f"host: {where}"] if where != host else []
        words += [f"type: {what}"] if what != kind else []
        lines.append(f"  - {{{', '.join(words)}}}")
    return _schema("../..", "plex") + "\n".join(lines) + "\n"


def _schema(up: str, kind: str) -> str:
    return f"# yaml-language-server: $schema={up}/{SCHEMAS}/{file_name(kind)}\n"


def _written(root: Path, files: Mapping[Path, str]) -> tuple[Path, ...]:
    """Write new files. If the lab cannot be read with them, they are taken back."""
    written: list[Path] = []
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if not write_new(file, text.encode()):
                raise UsageError(f"{file.relative_to(root)} is there, and is never overwritten")
            written.append(file)
        if written:
            _load(root)
            write_schemas(root)
    except (ConfigError, UsageError):
        for file in written:
            file.unlink()
        raise
    return tuple(written)
