"""What a file may hold, declared once: reading, checking and the JSON schema come from it.

pydantic stops at the model that has a fault; these shapes keep what is right in a file that has
some, so that all checks across files still run and everything is told at once.
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
OWNED = "Decided by plexctl: "


class Unreadable(Exception):  # noqa: N818 - not an error for anyone but the shape around it
    """The value has faults, which are reported already."""


class Shape(Protocol[T_co]):
    """A kind of value."""

    def read(self, value: object, source: YamlFile, where: Where) -> T_co:
        """The value of the model; Unreadable once its faults are reported to `source`."""

    def schema(self) -> Schema:
        """Its JSON Schema."""


@dataclass(frozen=True)
class Scalar(Generic[T]):
    """One value without parts; `parse` raises Fault."""

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
    """A mapping with names of the user's own. Entries with faults are left out."""

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
    """A mapping with the fields of the dataclass `of`, each made by `entry` or `needed`.

    A field with a fault has its default, so that checks of the others go on.
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
                source.report((*where, name), "is missing")
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
class Settings:
    """Fields of a Kubernetes object, handed on as they are.

    `known` names those that may be given, each with its shape (None: anything); `owned` those that
    plexctl decides itself, and says where or why.
    """

    known: Mapping[str, Shape[object] | None]
    owned: Mapping[str, str]

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
        try:
            text = json.dumps(given, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):
            source.report(where, "has a value that JSON does not know, as a date", "quote it")
            sound = False
        if not sound:
            raise Unreadable
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
    """A field of a record: its shape, its description in sentences, its default."""
    metadata = {"shape": shape, "about": about, "default": default}
    return dataclasses.field(default_factory=lambda: default, metadata=metadata)


def needed(shape: Shape[T], about: str, instead: T) -> Any:
    """A field that must be given. `instead` stands in for one with a fault while checks go on."""
    metadata = {"shape": shape, "about": about, "default": dataclasses.MISSING}
    return dataclasses.field(default_factory=lambda: instead, metadata=metadata)


def whole(least: int, most: int) -> Scalar[int]:
    """A whole number between `least` and `most`, both allowed."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault(f"must be a whole number, not {describe(value)}")
        if not least <= value <= most:
            raise Fault(f"must be between {least} and {most}, not {value}")
        return value

    return Scalar(parse, {"type": "integer", "minimum": least, "maximum": most})


def flag() -> Scalar[bool]:
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
            raise Fault(
                f"must be {' or '.join(names)}, not {describe(value)}", did_you_mean(value, names)
            )
        return of(str(value))

    return Scalar(parse, {"type": "string", "enum": names})


def text(value: object) -> str:
    """`value` if it is a text that is not empty; Fault otherwise."""
    if not isinstance(value, str):
        quote = "put it in quotes" if isinstance(value, bool | int | float) else None
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
    """Report each name that is not known."""
    for name in given:
        if name in owned:
            source.report((*where, name), "is decided by plexctl", owned[name])
        elif name not in known:
            source.report((*where, name), "unknown field", did_you_mean(name, known))


def _mapping(value: object, source: YamlFile, where: Where) -> dict[str, object]:
    """A mapping; nothing at all counts as an empty one, as in `dns:` with comments below."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        source.report(where, f"must be a mapping, not {describe(value)}")
        raise Unreadable
    return value
