"""A YAML file: its values, the line of each value, and the problems found in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.config.faults import describe
from plexctl.errors import Problem

Where = tuple[str | int, ...]
"""The path to a value: keys of mappings, and 0-based positions in lists."""

_MERGE = "tag:yaml.org,2002:merge"
_MAP, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"

_PLAIN_NUMBER = re.compile(
    r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.([0-9]+|inf|Inf|INF)|\.(nan|NaN|NAN)"
)
"""Numbers that everybody reads alike. Others: 017 is 15, 1:2 is 62, 1_0 is 10, 0x10 is 16."""

_MOST_BITS = 64
"""Of whole numbers: no field of Kubernetes has more, and Python refuses to print long ones."""


class Decimal(float):
    """A number with a decimal point and its text: the versions 1.40 and 1.4 are different."""

    text: str


@dataclass(slots=True)
class YamlFile:
    """A file that is being read. `value` is None if the file is empty or cannot be parsed."""

    file: Path
    value: object = None
    parsed: bool = False
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    faulty: set[Where] = field(default_factory=set)

    def report(self, where: Where, message: str, hint: str | None = None) -> None:
        """Add a problem of the value at `where`, with the line of that, or of what contains it."""
        self.faulty.add(where)
        near = where
        while near and near not in self.lines:
            near = near[:-1]
        line = self.lines.get(near, 1)
        self.problems.append(Problem(self.file, line, dotted(where), message, hint))

    def sound(self, *where: str | int) -> bool:
        """Whether no fault was reported at, below or above `where`, so that it can be checked."""
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
    """Read `file`. If it cannot be parsed, that is a problem of the result, not an exception."""
    source = YamlFile(file)
    try:
        text = read_regular(file).decode("utf-8-sig")
    except FileNotFoundError:
        if file.is_symlink():
            source.report(
                (), "the file does not exist: the link leads to nothing", "remove the link"
            )
        else:
            source.report((), "the file does not exist", "write it with `plexctl init`")
        return source
    except OSError as error:
        source.report((), f"the file cannot be read: {error.strerror}")
        return source
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        source.problems.append(Problem(file, line, "", "the file is not UTF-8 text"))
        return source
    try:
        check_yaml(text, cycles=True)  # a value that contains itself is reported with its field
        loader = yaml.CSafeLoader(text)  # in C: ten times as fast
        try:
            root = loader.get_single_node()
            if root is not None:
                source.value = _Reader(loader, source).value(root, ())
        finally:
            loader.dispose()
    except _ValueFaultError as error:
        source.problems.append(Problem(file, error.line, dotted(error.where), str(error)))
        return source
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, (error.context, error.problem)))
        line = mark.line + 1 if mark else 1
        source.problems.append(Problem(file, line, "", f"not valid YAML: {message}"))
        return source
    except (yaml.YAMLError, ValueError) as error:
        # Errors about forbidden characters have a position instead of a mark. A date such as
        # 2026-13-01 raises a plain ValueError.
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        reason = getattr(error, "reason", error)
        source.problems.append(Problem(file, line, "", f"not valid YAML: {reason}"))
        return source
    source.parsed = True
    return source


class _ValueFaultError(Exception):
    """A node of which no value can be built."""

    def __init__(self, where: Where, line: int, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.line = line


class _Reader:
    """Converts the nodes of a file to values; records their lines, and reports duplicate keys."""

    def __init__(self, loader: yaml.CSafeLoader, source: YamlFile) -> None:
        self._loader = loader
        self._source = source
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, where: Where) -> object:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if node.tag not in (_MAP, _SEQUENCE):
            line = node.start_mark.line + 1
            raise _ValueFaultError(where, line, f"not valid YAML: it has the tag {node.tag}")
        if any(node is outer for outer in self._open):
            self._source.report(where, "contains itself through an anchor")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, where)
            return self._sequence(node, where)
        finally:
            self._open.pop()

    def _constructed(self, node: yaml.Node, where: Where) -> object:
        """The value of a scalar. _ValueFaultError for a tag that does not fit, or a huge number."""
        try:
            value = self._loader.construct_object(node, deep=True)
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ValueError("the number is too large")
        except yaml.MarkedYAMLError as error:
            reason = error.problem
        except (ValueError, OverflowError, AttributeError, TypeError, LookupError) as error:
            # PyYAML's constructors trust the text behind a tag: `!!timestamp x`, `!!int ""`.
            reason = str(error) if type(error) is ValueError else "does not fit its tag"
        else:
            return value
        raise _ValueFaultError(where, node.start_mark.line + 1, f"not valid YAML: {reason}")

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> object:
        value = self._constructed(node, where)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and not node.style and not _PLAIN_NUMBER.fullmatch(node.value):
            self._source.report(
                where,
                f"YAML 1.1 reads {node.value[:40]} as the number {value}",
                f'write {value}, or "{node.value[:40]}" in quotes for a text',
            )
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
        duplicates = _duplicates(own)
        if len(own) < len(node.value):
            self._loader.flatten_mapping(node)
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._source.lines[where] = line
                self._source.report(where, "a field name must be text, not a list or a mapping")
                continue
            key = self._constructed(key_node, where)
            if not isinstance(key, str):
                shown = describe(key)
                self._source.lines[(*where, shown)] = line
                self._source.report(
                    (*where, shown),
                    f"a field name must be text, not {shown}",
                    "quote names such as on, no or 1, and texts with a comma inside of { }",
                )
                continue
            self._source.lines[(*where, key)] = line
            mapping[key] = self.value(value_node, (*where, key))
        for key, line in duplicates:
            self._source.lines[(*where, key)] = line
            self._source.report((*where, key), "is given twice", "remove one of them")
        return mapping


def _duplicates(keys: list[yaml.Node]) -> list[tuple[str, int]]:
    """(name, line) of each key that repeats an earlier one."""
    names: set[str] = set()
    duplicates = []
    for node in keys:
        if isinstance(node, yaml.ScalarNode):
            if node.value in names:
                duplicates.append((node.value, node.start_mark.line + 1))
            names.add(node.value)
    return duplicates
