"""The verbs `import plexhocs` and `export plexhocs`: plexes as a map in a tfvars file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from plexctl.config.builtin import overlay
from plexctl.config.draft import draft_lab
from plexctl.config.init import SCHEMAS, STATE, write_schemas
from plexctl.config.load import load_lab
from plexctl.config.networks import each, free_networks
from plexctl.config.plexhocs import (
    Plexhocs,
    PlexhocsPlace,
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
from plexctl.model.folder import lab_file, write_missing
from plexctl.model.lab import Lab
from plexctl.model.nodes import nodes
from plexctl.model.plex import Networks, Plex
from plexctl.model.state import find_state
from plexctl.results.lab import ImportResult

DEFAULT_TYPE = "kube"


def export(root: Path) -> Plexhocs:
    """The plexes of the lab at `root` as a map."""
    return of_plexes(_load(root).plexes.values())


def import_(
    root: Path, found: Plexhocs, bases: Mapping[str, str], *, renumber: bool = False
) -> ImportResult:
    """Write the plexes of a map into the lab at `root`. Existing files are not changed.

    `bases` maps names of bases in the map to names in the lab. If the map uses a type with another
    base than its own, a type for it is written: types/kube-BASE.yaml. UsageError for hosts, types
    and bases that the lab does not have, and for a plex that exists and differs. ConfigError if
    the lab would be invalid with the new files; then nothing is written.
    """
    lab = _load(root)
    wanted = shapes(_renamed(found, bases), renumber=renumber)
    if not wanted:
        raise UsageError("the map contains no plex")
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
        ("type", {p.type for p in places}, set(lab.types), "write types/NAME.yaml for it"),
        ("base", {p.base for p in places}, bases, "map it to a base of the lab: --base OLD=NEW"),
    ):
        if unknown := sorted(named - known):
            there = f"it has: {', '.join(sorted(known))}"
            raise UsageError(
                f"the lab has no {kind} {', '.join(unknown)}", details=[there], hint=hint
            )


def _is_there(lab: Lab, shape: PlexShape) -> bool:
    """Whether the lab has the same plex. UsageError if it has a different plex of this name."""
    if shape.name not in lab.plexes:
        return False
    plex = lab.plexes[shape.name]
    if _places(plex) != shape.nodes:
        raise UsageError(
            f"{plex.file.relative_to(lab.root)} exists, and has other nodes than the map",
            hint="plexctl does not overwrite it: edit it, or delete the plex from the map",
        )
    return True


def _places(plex: Plex) -> tuple[PlexhocsPlace, ...]:
    return tuple(
        PlexhocsPlace(
            node.index,
            node.host,
            node.type.base.name,
            plain_type(node.type.name, node.type.base.name),
        )
        for node in nodes(plex)
    )


def _type_name(lab: Lab, place: PlexhocsPlace) -> str:
    own = lab.types[place.type].base.name == place.base
    return place.type if own else variant(place.type, place.base)


def _types(root: Path, lab: Lab, shape: PlexShape) -> dict[Path, str]:
    """The missing files of types that the plex uses with other bases."""
    files = {}
    for place in shape.nodes:
        name = _type_name(lab, place)
        if name in lab.types:
            continue
        text = overlay(root, "types", f"{place.type}.yaml").read_text()
        # The path of the schema depends on the folder of the file.
        lines = [
            line for line in text.splitlines() if not line.startswith("# yaml-language-server")
        ]
        new = re.sub(r"(?m)^base:.*$", f"base: {place.base}", "\n".join(lines)) + "\n"
        if yaml.safe_load(new) != {**yaml.safe_load(text), "base": place.base}:
            raise UsageError(
                f"types/{name}.yaml cannot be derived from {place.type}.yaml",
                hint=f"write it yourself, with `base: {place.base}`",
            )
        files[Path("types", f"{name}.yaml")] = f"{_schema('..', 'type')}{new}"
    return files


def plex_file(
    shape: PlexShape, kubernetes: str, networks: Networks, type_of: Callable[[PlexhocsPlace], str]
) -> str:
    """The plex file of `shape`: fields for most nodes, and groups for nodes that differ."""
    host = Counter(place.host for place in shape.nodes).most_common(1)[0][0]
    kind = type_of(shape.nodes[0])  # the type of the master
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
        fields = [f'nodes: "{ranges(numbers)}"']
        fields += [f"host: {where}"] if where != host else []
        fields += [f"type: {what}"] if what != kind else []
        lines.append(f"  - {{{', '.join(fields)}}}")
    return _schema("../..", "plex") + "\n".join(lines) + "\n"


def _schema(up: str, kind: str) -> str:
    return f"# yaml-language-server: $schema={up}/{SCHEMAS}/{file_name(kind)}\n"


def _written(root: Path, files: Mapping[Path, str]) -> tuple[Path, ...]:
    """Write new files. If the lab is invalid with them, delete them again."""
    written: list[Path] = []
    find_state(root / STATE)  # before anything is written
    try:
        for file, text in files.items():
            if not write_missing(root, file, text.encode()):
                raise UsageError(
                    f"{file.relative_to(root)} exists, and plexctl does not overwrite it"
                )
            written.append(file)
        if written:
            _load(root)
            write_schemas(root)
    except (ConfigError, UsageError):
        for file in written:
            folder, name = lab_file(root, file)
            folder.delete(name)
        raise
    return tuple(written)
