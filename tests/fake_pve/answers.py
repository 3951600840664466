"""The fake held to the schema too: what it answers must be what the API says it returns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any


def faults(data: Any, rule: Mapping[str, Any], at: str = "data") -> Iterator[str]:
    """The problems of an answer, by the schema of its endpoint's `returns`."""
    kind = rule.get("type")
    if data is None:
        if kind not in {None, "null"} and not rule.get("optional"):
            yield f"{at} is missing"
    elif kind == "array":
        if not isinstance(data, list):
            yield f"{at} is no list"
            return
        for number, item in enumerate(data):
            yield from faults(item, rule.get("items") or {}, f"{at}[{number}]")
    elif kind == "object":
        if not isinstance(data, dict):
            yield f"{at} is no object"
            return
        for name, inner in (rule.get("properties") or {}).items():
            if "[n]" not in name and (name in data or not inner.get("optional")):
                yield from faults(data.get(name), inner, f"{at}.{name}")
    elif not _fits(data, kind):
        yield f"{at} is {data!r}, not of type {kind}"
    elif rule.get("enum") and data not in rule["enum"]:
        yield f"{at} is {data!r}, not one of {rule['enum']}"


def _fits(data: Any, kind: str | None) -> bool:
    if kind == "integer":  # numbers that came out of a file are strings in PVE's answers
        return isinstance(data, int) or bool(re.fullmatch(r"-?\d+", str(data)))
    if kind == "number":
        return isinstance(data, int | float)
    if kind == "boolean":
        return data in {0, 1} or data in {"0", "1"}
    if kind == "string":
        return isinstance(data, str)
    return kind in {None, "any"}
