"""Shapes of values in configuration files: each reads a value and has its JSON schema.

A dataclass in fields.py or host_fields.py declares the fields of a mapping with `entry` and
`needed`. `Record` of that dataclass is the shape of the mapping:

    workers: int = entry(whole(0, 4095), "Number of workers.", 2)

Everything else follows from this line: plexctl reads and checks `workers`, editors complete it
by the schema, and docs/configuration.md lists it. Only the step from fields to the model is written
by hand, in build.py; checks that concern several fields or files are in check*.py.

pydantic would stop at a model with a fault. A Record keeps its correct fields, so that the checks
across files still run, and plexctl reports all problems at once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Any, Generic, Protocol, TypeVar

from plexctl.config.faults import Fault, describe, did_you_mean
from plexctl.config.source import Where, YamlFile
from plexctl.model.plex import JsonText

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, Any]
OWNED = "Set by plexctl: "


class Unreadable(Exception):  # noqa: N818 - only the shape around it handles this
    """The value has faults, which have been reported to its file already."""


class Shape(Protocol[T_co]):
    """The shape of a value."""

    def read(self, value: object, source: YamlFile, where: Where) -> T_co:
        """Convert `value`, at `where` in `source`. Unreadable after its faults were reported."""

    def schema(self) -> Schema:
        """The JSON Schema of the value."""


@dataclass(frozen=True)
class Scalar(Generic[T]):
    """A value without parts. `parse` converts it, or raises Fault; `json` is its schema."""

    parse: Callable[[object], T]
    json: Schema

    def read(self, value: object, source: YamlFile, where: Where) -> T:
        try:
            return self.parse(value)
        except Fault as fault:
            source.report(where, str(fault), fault.hint)
            raise Unreadable from None

    def schema(self) -> Schema:
        return dict(self.json)


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list of at least `least` values of one shape."""

    item: Shape[T]
    least: int = 0

    def read(self, value: object, source: YamlFile, where: Where) -> tuple[T, ...]:
        if not isinstance(value, list):
            source.report(where, f"must be a list, not {describe(value)}")
            raise Unreadable
        if len(value) < self.least:
            source.report(where, "must not be empty")
            raise Unreadable
        items, sound = [], True
        for place, item in enumerate(value):
            try:
                items.append(self.item.read(item, source, (*where, place)))
            except Unreadable:
                sound = False
        if not sound:
            raise Unreadable
        return tuple(items)

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema()}
        return schema | ({"minItems": self.least} if self.least else {})


@dataclass(frozen=True)
class MapOf(Generic[T]):
    """A mapping with names that the user chooses. Entries with faults are left out."""

    name: Scalar[str]
    item: Shape[T]
    least: int = 0

    def read(self, value: object, source: YamlFile, where: Where) -> dict[str, T]:
        given = _mapping(value, source, where)
        if len(given) < self.least:
            source.report(where, "must not be empty")
            raise Unreadable
        entries = {}
        for key, item in given.items():
            try:
                self.name.read(key, source, (*where, key))
                entries[key] = self.item.read(item, source, (*where, key))
            except Unreadable:
                continue
        return entries

    def schema(self) -> Schema:
        return {
            "type": "object" if self.least else ["object", "null"],
            "propertyNames": self.name.schema(),
            "additionalProperties": self.item.schema(),
        } | ({"minProperties": self.least} if self.least else {})


@dataclass(frozen=True)
class Record(Generic[T]):
    """A mapping with the fields of the dataclass `of`, each declared by `entry` or `needed`.

    A field with a fault gets its default, so that checks of the other fields can run.
    """

    of: type[T]

    def read(self, value: object, source: YamlFile, where: Where) -> T:
        given = _mapping(value, source, where)
        fields = {field.name: field for field in dataclasses.fields(self.of)}  # type: ignore[arg-type]
        check_names(given, fields, {}, source, where)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in given:
                try:
                    values[name] = field.metadata["shape"].read(given[name], source, (*where, name))
                except Unreadable:
                    continue
            elif field.metadata["default"] is dataclasses.MISSING:
                source.report((*where, name), "is required")
        return self.of(**values)

    def schema(self) -> Schema:
        properties, needed = {}, []
        for field in dataclasses.fields(self.of):  # type: ignore[arg-type]
            shape = field.metadata["shape"]
            schema = shape.schema()
            schema["description"] = field.metadata["about"]
            default = field.metadata["default"]
            if default is dataclasses.MISSING:
                needed.append(field.name)
            elif isinstance(default, str | int) and not isinstance(shape, Settings):
                schema["default"] = default
            elif isinstance(default, IPv4Network):
                schema["default"] = str(default)
            properties[field.name] = schema
        return {
            "type": "object" if needed else ["object", "null"],
            "properties": properties,
            "additionalProperties": False,
        } | ({"required": needed} if needed else {})


@dataclass(frozen=True)
class FlagOr(Generic[T]):
    """true, false, or a mapping with details. A mapping cannot be left empty."""

    item: Record[T]

    def read(self, value: object, source: YamlFile, where: Where) -> bool | T:
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict):
            names = ", ".join(field.name for field in dataclasses.fields(self.item.of))  # type: ignore[arg-type]
            wanted = f"must be true, false, or a mapping with {names}"
            source.report(where, f"{wanted}, not {describe(value)}")
            raise Unreadable
        return self.item.read(value, source, where)

    def schema(self) -> Schema:
        # The properties of a mapping do not restrict other values.
        return self.item.schema() | {"type": ["boolean", "object"]}


@dataclass(frozen=True)
class Settings:
    """Fields of a Kubernetes object, which plexctl passes on unchanged.

    `known` has the fields that may be given, each with its shape (None: anything). `owned` has the
    fields that plexctl sets itself, each with a hint where or why.
    """

    known: Mapping[str, Shape[object] | None]
    owned: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def read(self, value: object, source: YamlFile, where: Where) -> JsonText:
        given = _mapping(value, source, where)
        check_names(given, self.known, self.owned, source, where)
        sound = True
        for name, shape in self.known.items():
            if shape is not None and name in given:
                try:
                    shape.read(given[name], source, (*where, name))
                except Unreadable:
                    sound = False
        if not sound:
            raise Unreadable
        try:
            text = json.dumps(given, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):
            source.report(
                where,
                "contains a value that JSON cannot represent, such as a date",
                "put the value in quotes",
            )
            raise Unreadable from None
        return JsonText(text)

    def schema(self) -> Schema:
        known = {name: shape.schema() if shape else {} for name, shape in self.known.items()}
        owned = {
            name: {"not": {}, "description": f"{OWNED}{why}."} for name, why in self.owned.items()
        }
        return {
            "type": ["object", "null"],
            "properties": known | owned,
            "additionalProperties": False,
        }


def entry(shape: Shape[T], about: str, default: T | None) -> Any:
    """A field of a Record that may be left out: its shape, its description, its default.

    The description consists of sentences; the documentation and the schema contain it.
    """
    metadata = {"shape": shape, "about": about, "default": default}
    return dataclasses.field(default_factory=lambda: default, metadata=metadata)


def needed(shape: Shape[T], about: str, instead: T) -> Any:
    """A field of a Record that is required. Checks use `instead` if its value has a fault."""
    metadata = {"shape": shape, "about": about, "default": dataclasses.MISSING}
    return dataclasses.field(default_factory=lambda: instead, metadata=metadata)


def whole(least: int, most: int) -> Scalar[int]:
    """A whole number between `least` and `most`, both allowed."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            unquoted = f"write {value} without quotes" if _is_digits(value) else None
            raise Fault(f"must be a whole number, not {describe(value)}", unquoted)
        if not least <= value <= most:
            raise Fault(f"must be between {least} and {most}, not {value}")
        return value

    return Scalar(parse, {"type": "integer", "minimum": least, "maximum": most})


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and value.isdecimal() and value.isascii()


def flag() -> Scalar[bool]:
    """true or false."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise Fault(f"must be true or false, not {describe(value)}")
        return value

    return Scalar(parse, {"type": "boolean"})


E_ = TypeVar("E_", bound=StrEnum)


def choice(of: type[E_]) -> Scalar[E_]:
    """One of the values of an enumeration."""
    names = [str(item) for item in of]

    def parse(value: object) -> E_:
        if value not in names:
            raise Fault(f"must be {' or '.join(names)}, not {describe(value)}")
        return of(str(value))

    return Scalar(parse, {"type": "string", "enum": names})


def text(value: object) -> str:
    """`value`, if it is a text that is not empty. Fault otherwise."""
    if not isinstance(value, str):
        quote = "put the value in quotes" if isinstance(value, bool | int | float) else None
        raise Fault(f"must be text, not {describe(value)}", quote)
    if not value:
        raise Fault("must not be empty")
    return value


def check_names(
    given: Iterable[str],
    known: Collection[str],
    owned: Mapping[str, str],
    source: YamlFile,
    where: Where,
) -> None:
    """Report each name in `given` that is neither in `known`, or is in `owned`."""
    for name in given:
        if name in owned:
            source.report((*where, name), "cannot be set: plexctl sets it", owned[name])
        elif name not in known:
            source.report((*where, name), "unknown field", did_you_mean(name, known))


def _mapping(value: object, source: YamlFile, where: Where) -> dict[str, object]:
    """A mapping. No value counts as an empty mapping, for example `dns:` with only comments."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        source.report(where, f"must be a mapping, not {describe(value)}")
        raise Unreadable
    return value
