"""Dependencies of objects of OpenTofu and Terraform, from their files and output. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plexctl.config.bounded import check_json
from plexctl.errors import UsageError

Graph = dict[str, tuple[str, ...]]
"""Address of an object -> addresses of its dependencies, each once and sorted."""

Json = Mapping[str, Any]

_NODE = r'"((?:[^"\\]|\\.)*)"'
# Possessive (++): a space is tried at one place only, so that many take no longer than few.
_EDGE = re.compile(rf"^[ \t]*+{_NODE}[ \t]*+->[ \t]*+{_NODE}", re.MULTILINE)
_ALONE = re.compile(rf"^[ \t]*+{_NODE}[ \t]*+(?:\[.*\][ \t]*+)?(?:;[ \t]*+)?$", re.MULTILINE)
_ADDRESS = re.compile(r"(module\.[^.]+\.)*(data\.)?[a-z][\w-]*\.[\w-]+(\[.*\])?")
_LONGEST = 4096
"""Characters of a reference, which has names and keys in it."""

_NOT_RESOURCES = ("var", "local", "output", "provider", "module", "meta", "path", "terraform")


def read(text: str, name: str = "this input") -> Graph:
    """The graph in `text`: a state (`state pull`, terraform.tfstate), `show -json` of a state or a
    plan, or the output of `graph`. UsageError, with the name of the input, if it is none of them.
    """
    if re.match(r"\s*(strict\s+)?digraph\b", text):
        return _of_dot(text)
    try:
        found = check_json(text) if text.strip() else {}
    except ValueError as error:
        raise _refusal(name, f"it is not JSON: {error}") from error
    try:
        graph = _of_json(found)
    except (AttributeError, KeyError, TypeError, AssertionError, RecursionError) as error:
        # The parsers trust the shape of OpenTofu's output.
        raise _refusal(name, "its objects do not have the shape of OpenTofu's output") from error
    if graph is None:
        raise _refusal(name, "it contains neither a state nor a configuration")
    return graph


def _of_json(found: object) -> Graph | None:
    match found:
        case {"encrypted_data": _}:
            raise UsageError("the state is encrypted", hint="`tofu state pull | tfdeps -`")
        case {"configuration": {"root_module": dict() as root}}:
            return _of_configuration(root)
        case {"values": {"root_module": dict() as root}}:
            return _sorted(_of_values(root))
        case {"resources": list() as resources}:
            return _sorted(_of_state(resources))
        case {"format_version": str()} | {"version": int()}:
            return {}  # an empty state
    return None


def _refusal(name: str, why: str) -> UsageError:
    hint = "use the output of `tofu state pull`, `tofu show -json` or `tofu graph`"
    return UsageError(f"no dependencies can be read from {name}", details=(why,), hint=hint)


def _sorted(pairs: Iterable[tuple[str, Iterable[str]]]) -> Graph:
    return {address: tuple(sorted(set(needs))) for address, needs in sorted(pairs)}


def _of_state(resources: list[Json]) -> Iterator[tuple[str, Iterable[str]]]:
    for resource in resources:
        if resource.get("mode") != "managed":
            continue
        module = f"{resource['module']}." if "module" in resource else ""
        for instance in resource.get("instances", ()):
            key = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
            address = f"{module}{resource['type']}.{resource['name']}{key}"
            yield address, instance.get("dependencies", ())


def _of_values(module: Json) -> Iterator[tuple[str, Iterable[str]]]:
    for resource in module.get("resources", ()):
        if resource.get("mode") == "managed":
            yield resource["address"], resource.get("depends_on", ())
    for child in module.get("child_modules", ()):
        yield from _of_values(child)


@dataclass(frozen=True, slots=True)
class _Module:
    """A module of a configuration, with the module that calls it."""

    content: Json
    prefix: str  # "module.plex."
    call: Json
    parent: _Module | None

    def child(self, name: str) -> _Module | None:
        call = self.content.get("module_calls", {}).get(name)
        if call is None:
            return None
        return _Module(call.get("module", {}), f"{self.prefix}module.{name}.", call, self)


def _of_configuration(root: Json) -> Graph:
    return _sorted(_of_module(_Module(root, "", {}, None)))


def _of_module(module: _Module) -> Iterator[tuple[str, Iterable[str]]]:
    for resource in module.content.get("resources", ()):
        if resource.get("mode") == "managed":
            own = module.prefix + resource["address"]
            named = [*_references(resource), *resource.get("depends_on", ())]
            known: set[tuple[str, str]] = set()
            needs = {need for name in named for need in _resolved(name, module, known)}
            yield own, needs - {own}
    for name in module.content.get("module_calls", {}):
        child = module.child(name)
        assert child is not None, name
        yield from _of_module(child)


def _references(content: object) -> Iterator[str]:
    """All references of expressions below `content`."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key == "references" and isinstance(value, list):
                yield from value
            elif key != "module":
                yield from _references(value)
    elif isinstance(content, list):
        for item in content:
            yield from _references(item)


def _resolved(reference: str, module: _Module, known: set[tuple[str, str]]) -> Iterator[str]:
    """The resources behind a reference, through variables and outputs of modules.

    `known` are the references that were followed already, each with its module.
    """
    if len(reference) > _LONGEST:
        raise TypeError("a reference is too long")
    if (module.prefix, reference) in known:
        return
    known.add((module.prefix, reference))
    kind, *rest = re.split(r"\.(?![^\[]*\])", reference)
    if not rest:
        return
    name = rest[0].partition("[")[0]
    if kind == "var" and module.parent:
        given = module.call.get("expressions", {}).get(name, {})
        for inner in _references(given):
            yield from _resolved(inner, module.parent, known)
    elif kind == "module" and len(rest) > 1:
        child = module.child(name)
        output = child.content.get("outputs", {}).get(rest[1], {}) if child else {}
        for inner in (*_references(output), *output.get("depends_on", ())):
            assert child is not None
            yield from _resolved(inner, child, known)
    elif kind == "data" and len(rest) > 1:
        yield f"{module.prefix}data.{rest[0]}.{rest[1].partition('[')[0]}"
    elif kind not in (*_NOT_RESOURCES, "each", "count", "self"):
        yield f"{module.prefix}{kind}.{name}"


def _of_dot(text: str) -> Graph:
    needs: dict[str, set[str]] = {}
    for found in _ALONE.finditer(text):
        if address := _node(found[1]):
            needs.setdefault(address, set())
    for found in _EDGE.finditer(text):
        source, target = _node(found[1]), _node(found[2])
        if source:
            needs.setdefault(source, set()).update({target} - {""})
    return _sorted(needs.items())


def _node(quoted: str) -> str:
    """The address of a resource in a graph; empty for other nodes."""
    name = re.sub(r"\\(.)", r"\1", quoted).removeprefix("[root] ")
    name = re.sub(r" \((expand|close|orphan|destroy|import).*\)$", "", name)
    whole = _ADDRESS.fullmatch(name)
    last = re.sub(r"^(module\.[^.]+\.)*", "", name).partition(".")[0]
    return name if whole and last not in _NOT_RESOURCES else ""


def as_text(graph: Graph, *, everything: bool = False) -> str:
    """Each object with its dependencies; with `everything` also objects without dependencies."""
    blocks = [
        "\n".join((f"{address}:", *(f"    - {need}" for need in needs)))
        for address, needs in graph.items()
        if needs or everything
    ]
    return "\n\n".join(blocks)


def as_dot(graph: Graph) -> str:
    """A graph for Graphviz. Arrows point to dependencies."""
    lines = [f"  {json.dumps(address)};" for address in graph]
    lines += [
        f"  {json.dumps(a)} -> {json.dumps(need)};" for a, needs in graph.items() for need in needs
    ]
    return "\n".join(("digraph dependencies {", "  rankdir=RL;", *lines, "}"))
