"""The shape of a lab's pins.yaml: fields, and patterns of their values.

Values become arguments of programs, names of files and URLs, so no value can be an option, a path
out of its folder, or more than one word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.config.source import Where, dotted
from plexctl.depot.fit_pins import PinFault
from plexctl.errors import ConfigError, Problem

Report = Callable[[yaml.Node, Where, str], None]
Shape = Callable[[yaml.Node, Where, Report], None]
"""Checks a node of the file and everything in it."""


@dataclass(frozen=True, slots=True)
class PinsFile:
    """A lab's pins.yaml."""

    file: Path
    sections: dict[str, dict[str, Any]]  # all scalars are texts
    lines: Mapping[Where, int]

    def refuse(self, faults: Iterable[PinFault]) -> None:
        """ConfigError with file, line and field of all `faults`, if there are any."""
        problems = [
            Problem(self.file, self._line(where), dotted(where), message, hint)
            for where, message, hint in faults
        ]
        if problems:
            raise ConfigError(problems)

    def _line(self, where: Where) -> int:
        """The line of a value, or of what lacks it."""
        near = where
        while near and near not in self.lines:
            near = near[:-1]
        return self.lines.get(near, 1)


def read_pins(file: Path) -> PinsFile:
    """A lab's pins.yaml. ConfigError with file, line and field of everything that is wrong."""
    problems: list[Problem] = []

    def report(node: yaml.Node, where: Where, message: str) -> None:
        problems.append(Problem(file, node.start_mark.line + 1, dotted(where), message))

    try:
        text = read_regular(file).decode("utf-8-sig")
        check_yaml(text)
        root = yaml.compose(text, yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([Problem(file, line, "", f"not valid YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(file, 1, "", f"not valid YAML: {error}")]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([Problem(file, 1, "", f"the file cannot be read: {reason}")]) from error
    if root is None:
        return PinsFile(file, {}, {})
    _PINS(root, (), report)
    if problems:
        raise ConfigError(problems)
    sections = dict(yaml.load(text, yaml.CBaseLoader))  # noqa: S506 - it creates nothing but text
    return PinsFile(file, sections, dict(_lines(root, ())))


def _lines(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*where, key.value), key.start_mark.line + 1
            yield from _lines(value, (*where, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield (*where, place), item.start_mark.line + 1
            yield from _lines(item, (*where, place))


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a pattern."""

    pattern: re.Pattern[str]
    kind: str  # "a version"

    def __call__(self, node: yaml.Node, where: Where, report: Report) -> None:
        if not isinstance(node, yaml.ScalarNode):
            report(node, where, f"must be {self.kind}, not a list or a mapping")
        elif not self.pattern.fullmatch(node.value):
            report(node, where, f"{node.value[:60]!r} is not {self.kind}")


@dataclass(frozen=True, slots=True)
class _List:
    """A list of values of one shape."""

    item: Shape

    def __call__(self, node: yaml.Node, where: Where, report: Report) -> None:
        if not isinstance(node, yaml.SequenceNode):
            report(node, where, "must be a list")
            return
        for place, item in enumerate(node.value):
            self.item(item, (*where, place), report)


@dataclass(frozen=True, slots=True)
class _Map:
    """A mapping from texts of one pattern to values of one shape."""

    key: _Text
    value: Shape

    def __call__(self, node: yaml.Node, where: Where, report: Report) -> None:
        for key, value in _entries(node, where, report):
            self.key(key, (*where, key.value), report)
            self.value(value, (*where, key.value), report)


@dataclass(frozen=True, slots=True)
class _Fields:
    """A mapping with known fields; those of `optional` may be missing."""

    required: Mapping[str, Shape]
    optional: Mapping[str, Shape]

    def __call__(self, node: yaml.Node, where: Where, report: Report) -> None:
        shapes = {**self.required, **self.optional}
        found = set()
        for key, value in _entries(node, where, report):
            found.add(key.value)
            if key.value not in shapes:
                report(key, (*where, key.value), f"unknown field; known: {', '.join(shapes)}")
            else:
                shapes[key.value](value, (*where, key.value), report)
        for name in self.required:
            if isinstance(node, yaml.MappingNode) and name not in found:
                report(node, (*where, name), "is missing")


def _entries(
    node: yaml.Node, where: Where, report: Report
) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        report(node, where, "must be a mapping")
        return
    names = set[str]()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            report(key, where, "a field name must be a text")
            continue
        if key.value in names:
            report(key, (*where, key.value), "is given twice")
        names.add(key.value)
        yield key, value


def _text(pattern: str, kind: str) -> _Text:
    return _Text(re.compile(pattern, re.ASCII), kind)


_PATH = r"(?!.*(?:^|/)\.\.(?:/|$))[A-Za-z0-9_][A-Za-z0-9._~+@/-]*"

_NAME = _text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "a name of letters, digits, '.', '_' and '-'")
_VERSION = _text(r"v?[0-9][0-9A-Za-z.+~-]{0,99}", "a version")
_NUMBER = _text(r"[0-9]{1,7}", "a number")
_URL = _text(
    r"https://[A-Za-z0-9][A-Za-z0-9.:-]*/(?:[A-Za-z0-9._~%!$&'()*+,;=:@/?-]|\{version\}|\{arch\})*",
    "an https:// URL, in which {version} and {arch} are filled in",
)
_ARCHITECTURE = _text("amd64|arm64", "an architecture: amd64 or arm64")
_DIGEST = _text("[0-9a-f]{64}", "a SHA-256 in lower-case hex digits")
_MEMBER = _text(
    r"(?!.*(?:^|/)\.\.(?:/|$))(?:[A-Za-z0-9_]|\{arch\})(?:[A-Za-z0-9._+@/-]|\{arch\})*",
    "a path inside the archive",
)
_FILE = _text(_PATH, "a path inside the module")
_PACKAGE = _text(rf"\.|{_PATH}", "a Go package path")
_VARIABLE = _text(r"[A-Za-z0-9][A-Za-z0-9._~/+-]*", "the name of a Go variable")
_VALUE = _text(r"[A-Za-z0-9._:/+@,=~-]*", "a text without spaces and quotes")
_TAG = _text(r"[A-Za-z0-9_.]+", "a build tag of Go")
_REFERENCE = _text(
    r"[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/[a-z0-9][a-z0-9._/-]*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    "a container image such as registry.k8s.io/pause:3.10.2",
)

_DOWNLOAD = _Fields(
    {"url": _URL},
    {"sha256": _Map(_ARCHITECTURE, _DIGEST), "artifact": _NAME, "members": _Map(_NAME, _MEMBER)},
)
_IMAGES = _Map(_NAME, _Fields({"reference": _REFERENCE}, {"module": _NAME}))
_PROGRAMS = {
    "release": _Fields({"version": _VERSION, "downloads": _List(_DOWNLOAD)}, {}),
    "gobuild": _Fields({"version": _VERSION, "module": _NAME, "programs": _List(_NAME)}, {}),
}
_OF_IMAGES = _Fields(
    {"version": _VERSION, "images": _IMAGES},
    {
        "files": _Map(
            _NAME, _Fields({"url": _URL}, {"module": _NAME, "source": _PACKAGE, "path": _FILE})
        )
    },
)
_OF_PROGRAMS = _Fields({"gobuild": _PROGRAMS["gobuild"]}, {"release": _PROGRAMS["release"]})
_OPTIONAL = _Fields(
    {"optional": _text("true|false", "true or false"), "gobuild": _PROGRAMS["gobuild"]}, {}
)


def _component(node: yaml.Node, where: Where, report: Report) -> None:
    """A component of images, or of programs."""
    names = {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()
    shape = _OF_IMAGES if "images" in names else _OF_PROGRAMS
    (_OPTIONAL if "optional" in names else shape)(node, where, report)


_MODULE = _Fields(
    {"version": _VERSION, "core_seconds": _NUMBER, "programs": _Map(_NAME, _PACKAGE)},
    {
        "variables": _Map(_VARIABLE, _VALUE),
        "cgo": _List(_NAME),
        "tags": _List(_TAG),
        "c_programs": _Map(
            _NAME, _Fields({"version": _VERSION, "module": _PACKAGE, "source": _FILE}, {})
        ),
        "sources": _List(_NAME),
    },
)
_PINS = _Fields(
    {},
    {
        "components": _Map(_NAME, _component),
        "kubernetes": _Map(
            _VERSION,
            _Fields(
                {"gobuild": _PROGRAMS["gobuild"], "images": _IMAGES},
                {"release": _PROGRAMS["release"]},
            ),
        ),
        "modules": _Map(_NAME, _MODULE),
    },
)
