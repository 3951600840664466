"""plexhocs: the map plex host -> base -> type -> nodes that a plex is kept as in a tfvars file.

A key of the outermost map is a host, whose plex is called as the host, with `…us` become `…plex`;
or PLEX@HOST, where a plex is called otherwise or has nodes on several hosts. Nodes are numbers, 1
for the master: one, a list of them, or ranges as in "31-34, 37". All of it is pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from plexctl.config.faults import Fault
from plexctl.config.values import MOST_NODES, parse_plex_name
from plexctl.errors import UsageError
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex

VARIABLE = "plexhocs"

Plexhocs = dict[str, dict[str, dict[str, tuple[int, ...]]]]
"""Key -> base -> type -> numbers of nodes, sorted."""

_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


@dataclass(frozen=True, slots=True)
class Place:
    """A node as plexhocs has it."""

    number: int  # 1-based
    host: str
    base: str
    type: str


@dataclass(frozen=True, slots=True)
class PlexShape:
    """A plex as plexhocs has it: its nodes from 1 on, without gaps."""

    name: str
    nodes: tuple[Place, ...]


def parse(text: str, name: str = VARIABLE) -> Plexhocs:
    """The variable `plexhocs` of a tfvars file, in HCL or JSON. UsageError if it is not right."""
    content = _json(text, name) if text.lstrip().startswith("{") else _hcl(text, name)
    if VARIABLE not in content:
        raise UsageError(f"{name} has no {VARIABLE}", hint=f"it begins with `{VARIABLE} = {{`")
    found: Plexhocs = {}
    for host, bases in _mapping(content[VARIABLE], VARIABLE):
        for base, types in _mapping(bases, f"{VARIABLE}.{host}"):
            for kind, value in _mapping(types, f"{VARIABLE}.{host}.{base}"):
                numbers = _numbers(value, f"{VARIABLE}.{host}.{base}.{kind}")
                found.setdefault(host, {}).setdefault(base, {})[kind] = numbers
    return found


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is not JSON: {error}") from error


def _hcl(text: str, name: str) -> dict[str, Any]:
    import hcl2  # a third of a second, and few need it

    options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
    try:
        return hcl2.loads(
            text if text.endswith("\n") else f"{text}\n", serialization_options=options
        )
    except Exception as error:  # the library passes on whatever its parser raises
        said = str(error).splitlines()[:1]
        raise UsageError(f"{name} is not HCL", details=said) from error


def _mapping(value: object, where: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a map")
    for key, inner in value.items():
        # The library leaves the quotes of some keys.
        yield str(key).strip('"'), inner


def _numbers(value: object, where: str) -> tuple[int, ...]:
    """Numbers of nodes, each once. UsageError for what is none."""
    found: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        for part in str(item).split(","):
            read = _RANGE.fullmatch(part) if not isinstance(item, bool) else None
            first, last = (int(read[1]), int(read[2] or read[1])) if read else (0, 0)
            if not 1 <= first <= last <= MOST_NODES:
                raise UsageError(
                    f"{where}: {part.strip()!r} is no number of a node",
                    hint=f'1 to {MOST_NODES}, or ranges as in "2-4, 7"',
                )
            found.extend(range(first, last + 1))
    if len(set(found)) < len(found):
        raise UsageError(f"{where} names a node twice")
    return tuple(sorted(found))


def shapes(found: Plexhocs, *, renumber: bool = False) -> tuple[PlexShape, ...]:
    """The plexes that a map stands for. UsageError where no plex can be as it says.

    With `renumber`, gaps between the numbers are closed; the order stays.
    """
    members: dict[str, list[Place]] = {}
    for key, bases in found.items():
        plex, host = plex_and_host(key)
        for base, types in bases.items():
            for kind, numbers in types.items():
                places = (Place(number, host, base, kind) for number in numbers)
                members.setdefault(plex, []).extend(places)
    return tuple(_shape(name, places, renumber) for name, places in members.items())


def plex_and_host(key: str) -> tuple[str, str]:
    """What an outermost key means. UsageError for a name that no plex can have."""
    plex, at, host = key.partition("@")
    if not at:
        plex, host = plex_of_host(key), key
    try:
        return parse_plex_name(plex), host
    except Fault as fault:
        raise UsageError(f"{VARIABLE}.{key}: {fault}", hint="PLEX@HOST says both") from fault


def plex_of_host(host: str) -> str:
    return re.sub("us$", "plex", host)


def _shape(name: str, places: list[Place], renumber: bool) -> PlexShape:
    places = sorted(places, key=lambda place: place.number)
    numbers = [place.number for place in places]
    if doubled := {number for number in numbers if numbers.count(number) > 1}:
        raise UsageError(f"{VARIABLE}: {name}{min(doubled)} is there twice")
    if renumber:
        places = [replace(place, number=new) for new, place in enumerate(places, 1)]
    elif missing := [
        number for number in range(1, max(numbers, default=0)) if number not in numbers
    ]:
        raise UsageError(
            f"{VARIABLE}: {name} has no node {ranges(missing)}: a plex has its nodes without gaps",
            hint="--renumber closes them",
        )
    return PlexShape(name, tuple(places))


def of_plexes(plexes: Iterable[Plex]) -> Plexhocs:
    """The map that stands for `plexes`."""
    found: dict[str, dict[str, dict[str, list[int]]]] = {}
    for plex in plexes:
        for node in nodes(plex):
            key = node.host if plex_of_host(node.host) == plex.name else f"{plex.name}@{node.host}"
            base = node.type.base.name
            types = found.setdefault(key, {}).setdefault(base, {})
            types.setdefault(plain_type(node.type.name, base), []).append(node.index)
    return {
        key: {base: {kind: tuple(n) for kind, n in types.items()} for base, types in bases.items()}
        for key, bases in found.items()
    }


def variant(kind: str, base: str) -> str:
    """What a type is called where it is baked on another base than its own."""
    return f"{kind}-{base}"


def plain_type(name: str, base: str) -> str:
    """The type that `name` is a variant of, if it is one."""
    return name.removesuffix(f"-{base}")


def as_json(found: Plexhocs) -> str:
    return json.dumps({VARIABLE: found}, indent=2)


def as_hcl(found: Plexhocs) -> str:
    """The map as a tfvars file has it. It is read again by `parse`, and by OpenTofu."""
    lines = [f"{VARIABLE} = {{"]
    for key, bases in found.items():
        lines.append(f"  {json.dumps(key)} = {{")
        for base, types in bases.items():
            inner = ", ".join(f"{json.dumps(k)} = {list(n)}" for k, n in types.items())
            lines.append(f"    {json.dumps(base)} = {{ {inner} }}")
        lines.append("  }")
    return "\n".join((*lines, "}"))


def ranges(numbers: Iterable[int]) -> str:
    """[2, 3, 4, 7] as "2-4, 7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
