"""One YAML file: its plain values, the line of each, and the problems found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from plexctl.errors import Problem

Where = tuple[str | int, ...]
"""The way to a value: names of keys and 0-based places in lists."""

_MERGE = "tag:yaml.org,2002:merge"


class Decimal(float):
    """A number with a point that remembers how it was written: 1.40 is not 1.4 as a version."""

    text: str


@dataclass(slots=True)
class YamlFile:
    """A file being read. `value` is None where the file is empty or could not be parsed."""

    file: Path
    value: object = None
    parsed: bool = False
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    faulty: set[Where] = field(default_factory=set)

    def report(self, where: Where, message: str, hint: str | None = None) -> None:
        """Note a fault of the value at `where`, or of the nearest one around it that is there."""
        self.faulty.add(where)
        near = where
        while near and near not in self.lines:
            near = near[:-1]
        line = self.lines.get(near, 1)
        self.problems.append(Problem(self.file, line, dotted(where), message, hint))

    def sound(self, *where: str | int) -> bool:
        """Whether nothing at, below or above `where` is faulty: a check on it makes sense."""
        return self.parsed and not any(
            bad[: len(where)] == where or where[: len(bad)] == bad for bad in self.faulty
        )


def dotted(where: Where) -> str:
    """`("groups", 0, "labels")` as `groups[0].labels`."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read(file: Path) -> YamlFile:
    """Read `file`. What keeps it from being parsed is a problem of the source, not an exception."""
    source = YamlFile(file)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        source.report((), "does not exist", "`plexctl init` writes one")
        return source
    except OSError as error:
        source.report((), f"cannot be read: {error.strerror}")
        return source
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        source.problems.append(Problem(file, line, "", "is not UTF-8 text"))
        return source
    try:
        loader = yaml.CSafeLoader(text)  # in C: ten times as fast
        try:
            root = loader.get_single_node()
            if root is not None:
                source.value = _Reader(loader, source).value(root, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, (error.context, error.problem)))
        line = mark.line + 1 if mark else 1
        source.problems.append(Problem(file, line, "", f"is not valid YAML: {message}"))
        return source
    except (yaml.YAMLError, ValueError) as error:
        # Characters that YAML does not allow carry a position instead of a mark; a date such as
        # 2026-13-01 is a plain ValueError.
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        reason = getattr(error, "reason", error)
        source.problems.append(Problem(file, line, "", f"is not valid YAML: {reason}"))
        return source
    source.parsed = True
    return source


class _Reader:
    """Walks the nodes of one file once: plain values out, lines and doubled keys noted."""

    def __init__(self, loader: yaml.CSafeLoader, source: YamlFile) -> None:
        self._loader = loader
        self._source = source
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, where: Where) -> object:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if any(node is outer for outer in self._open):
            self._source.report(where, "holds itself through an anchor")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, where)
            return self._sequence(node, where)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode) -> object:
        value = self._loader.construct_object(node)
        if isinstance(value, float):
            value = Decimal(value)
            value.text = node.value
        return value

    def _sequence(self, node: yaml.Node, where: Where) -> list[object]:
        items = []
        for place, item in enumerate(node.value):
            self._source.lines[(*where, place)] = item.start_mark.line + 1
            items.append(self.value(item, (*where, place)))
        return items

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, object]:
        self._source.lines.setdefault(where, node.start_mark.line + 1)
        own = [key for key, _ in node.value if key.tag != _MERGE]
        doubled = self._doubled(own, where)
        if len(own) < len(node.value):
            self._loader.flatten_mapping(node)
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                self._source.lines[(*where, str(key))] = line
                self._source.report(
                    (*where, str(key)),
                    "a name must be text",
                    "put a text with a comma in quotes within { }, and names like on, no or 1 too",
                )
                continue
            self._source.lines[(*where, key)] = line
            mapping[key] = self.value(value_node, (*where, key))
        for key, line in doubled:
            self._source.lines[(*where, key)] = line
            self._source.report((*where, key), "is given twice")
        return mapping

    def _doubled(self, keys: list[yaml.Node], where: Where) -> list[tuple[str, int]]:
        seen: set[object] = set()
        doubled = []
        for node in keys:
            if isinstance(node, yaml.ScalarNode) and node.value in seen:
                doubled.append((node.value, node.start_mark.line + 1))
            seen.add(node.value if isinstance(node, yaml.ScalarNode) else id(node))
        return doubled
