"""plexhocs: a map host -> base -> type -> nodes, which describes plexes in a tfvars file.

A key of the outermost map is a host, or PLEX@HOST. The plex of a plain host has the name of the
host, with `…us` replaced by `…plex`; PLEX@HOST is for plexes with other names, or on several hosts.
Nodes are numbers: one, a list, or ranges such as "31-34, 37". 1 is the master. All functions are
pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from plexctl.config.bounded import MOST_BYTES, check_json
from plexctl.config.faults import Fault, describe
from plexctl.config.values.names import parse_plex_name
from plexctl.config.values.nodes import MOST_NODES
from plexctl.errors import UsageError
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex

VARIABLE = "plexhocs"

Plexhocs = dict[str, dict[str, dict[str, tuple[int, ...]]]]
"""Key -> base -> type -> numbers of nodes, sorted."""

_RANGE = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


@dataclass(frozen=True, slots=True)
class PlexhocsPlace:
    """A node of plexhocs."""

    number: int  # 1-based
    host: str
    base: str
    type: str


@dataclass(frozen=True, slots=True)
class PlexShape:
    """A plex of plexhocs: its nodes from 1 on, without gaps."""

    name: str
    nodes: tuple[PlexhocsPlace, ...]


def parse(text: str, name: str = VARIABLE) -> Plexhocs:
    """The variable `plexhocs` of a tfvars file, in HCL or JSON. UsageError if it is not valid."""
    content = _json(text, name) if text.lstrip().startswith("{") else _hcl(text, name)
    if VARIABLE not in content:
        raise UsageError(
            f"{name} has no variable {VARIABLE}",
            hint=f"it must contain `{VARIABLE} = {{…}}`",
        )
    found: Plexhocs = {}
    top = VARIABLE if name == VARIABLE else f"{name}: {VARIABLE}"
    for host, bases in _mapping(content[VARIABLE], top):
        for base, types in _mapping(bases, f"{top}.{host}"):
            for kind, value in _mapping(types, f"{top}.{host}.{base}"):
                numbers = _numbers(value, f"{top}.{host}.{base}.{kind}")
                found.setdefault(host, {}).setdefault(base, {})[kind] = numbers
    return found


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        found = check_json(text, MOST_BYTES)
        if not isinstance(found, dict):
            raise UsageError(f"{name} must be a JSON object")
        return found
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is not valid JSON: {error}") from error


def _hcl(text: str, name: str) -> dict[str, Any]:
    import hcl2  # its import takes a third of a second

    options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
    try:
        return hcl2.loads(
            text if text.endswith("\n") else f"{text}\n", serialization_options=options
        )
    except Exception as error:  # the library raises the exceptions of its parser
        reason = str(error).splitlines()[:1]
        raise UsageError(f"{name} is not valid HCL", details=reason) from error


def _mapping(value: object, where: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a map, not {describe(value)}")
    for key, inner in value.items():
        # The library keeps the quotes of some keys.
        yield str(key).strip('"'), inner


def _numbers(value: object, where: str) -> tuple[int, ...]:
    """Sorted node numbers. UsageError for other values, and for duplicates."""
    found: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        for part in str(item).split(","):
            read = _RANGE.fullmatch(part) if not isinstance(item, bool) else None
            first, last = (int(read[1]), int(read[2] or read[1])) if read else (0, 0)
            if not 1 <= first <= last <= MOST_NODES:
                raise UsageError(
                    f"{where}: {part.strip()!r} is not a node number",
                    hint=f'use 1 to {MOST_NODES}, or ranges such as "2-4, 7"',
                )
            found.extend(range(first, last + 1))
    if len(set(found)) < len(found):
        raise UsageError(f"{where} contains a node twice")
    return tuple(sorted(found))


def shapes(found: Plexhocs, *, renumber: bool = False) -> tuple[PlexShape, ...]:
    """The plexes that a map describes. UsageError if one of them is not valid.

    With `renumber`, the nodes of each plex get new numbers without gaps, in the same order.
    """
    members: dict[str, list[PlexhocsPlace]] = {}
    for key, bases in found.items():
        plex, host = plex_and_host(key)
        for base, types in bases.items():
            for kind, numbers in types.items():
                places = (PlexhocsPlace(number, host, base, kind) for number in numbers)
                members.setdefault(plex, []).extend(places)
    return tuple(_shape(name, places, renumber) for name, places in members.items())


def plex_and_host(key: str) -> tuple[str, str]:
    """The plex and the host of an outermost key. UsageError if the plex' name is not valid."""
    plex, at, host = key.partition("@")
    if not at:
        plex, host = plex_of_host(key), key
    try:
        return parse_plex_name(plex), host
    except Fault as fault:
        raise UsageError(
            f"{VARIABLE}.{key}: {fault}",
            hint="use PLEX@HOST as the key, with another name for the plex",
        ) from fault


def plex_of_host(host: str) -> str:
    return re.sub("us$", "plex", host)


def _shape(name: str, places: list[PlexhocsPlace], renumber: bool) -> PlexShape:
    places = sorted(places, key=lambda place: place.number)
    numbers = [place.number for place in places]
    if doubled := {number for number in numbers if numbers.count(number) > 1}:
        raise UsageError(f"{VARIABLE} contains {name}{min(doubled)} twice")
    if renumber:
        places = [replace(place, number=new) for new, place in enumerate(places, 1)]
    elif missing := [
        number for number in range(1, max(numbers, default=0)) if number not in numbers
    ]:
        raise UsageError(
            f"{VARIABLE}: {name} has no node {ranges(missing)}, but node numbers must have no gaps",
            hint="renumber the nodes with --renumber",
        )
    return PlexShape(name, tuple(places))


def of_plexes(plexes: Iterable[Plex]) -> Plexhocs:
    """The map that describes `plexes`."""
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
    """The name of a type that is baked on another base than its own."""
    return f"{kind}-{base}"


def plain_type(name: str, base: str) -> str:
    """The name of the type of which `name` is a variant, or `name` itself."""
    return name.removesuffix(f"-{base}")


def as_json(found: Plexhocs) -> str:
    return json.dumps({VARIABLE: found}, indent=2)


def as_hcl(found: Plexhocs) -> str:
    """The map as the text of a tfvars file, which `parse` and OpenTofu can read."""
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
