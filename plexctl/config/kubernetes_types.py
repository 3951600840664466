"""Types of the fields, names of the flags, and feature gates of Kubernetes' programs.

data/kubernetes-1.36.json and the like have them, one file for each pinned minor version, with their
sources; `bin/docs kubernetes` generates them. A wrong type or an unknown flag or gate stops a
program at each start: here it is a fault of the file, before anything runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from plexctl.config.faults import describe, did_you_mean
from plexctl.config.shape import Schema, Unreadable
from plexctl.config.source import Where, YamlFile

FOLDER = Path(__file__).parent / "data"
NEWEST = "1.36"
"""The minor version whose fields the schema has. Older ones may lack some of them."""

ANY_NAME = "*"
KUBEADM = "kubeadm"
GATES_FLAG = "feature-gates"
OWN_GATES = (KUBEADM, "etcd")
"""Programs without the feature gates that all others have in common."""

_DURATION = r"[-+]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+|[-+]?0"
_QUANTITY = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?"
_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "int": (-(2**63), 2**63 - 1),
    "uint": (0, 2**64 - 1),
}
_TEXT_FLAGS = {
    "bool": (r"[tT]|[fF]|[tT]rue|TRUE|[fF]alse|FALSE|1|0", "true or false"),
    "int": (r"[-+]?[0-9]+", "a whole number"),
    "int32": (r"[-+]?[0-9]+", "a whole number"),
    "int64": (r"[-+]?[0-9]+", "a whole number"),
    "uint": (r"[0-9]+", "a whole number"),
    "float": (r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?", "a number"),
    "float32": (r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?", "a number"),
    "duration": (_DURATION, "a duration such as 30s"),
}


def minor_of(version: str) -> str:
    """1.36 of 1.36.3."""
    return ".".join(version.split(".")[:2])


def file_of(minor: str) -> Path:
    """The table of a minor version; there may be none."""
    return FOLDER / f"kubernetes-{minor}.json"


@cache
def tables(minor: str = NEWEST) -> Mapping[str, Any]:
    """The table of a minor version that has one. It is read when a file uses such a field."""
    found: dict[str, Any] = json.loads(file_of(minor).read_text())
    return found


@dataclass(frozen=True)
class FieldOf:
    """A field of the configuration of a program: "kubelet" or "proxy"."""

    program: str
    name: str

    def read(self, value: object, source: YamlFile, where: Where) -> object:
        if not _fits(tables()[self.program][self.name], value, source, where):
            raise Unreadable
        return value

    def schema(self) -> Schema:
        return _schema(tables()[self.program][self.name])


def fields_of(program: str) -> frozenset[str]:
    """The names of all fields of the configuration of a program."""
    return frozenset(tables()[program])


def is_known(minor: str) -> bool:
    """Whether there is a table of a minor version. A lab may pin others."""
    return file_of(minor).is_file()


def missing_fields(program: str, names: Collection[str], minor: str) -> tuple[str, ...]:
    """The fields of a configuration that a program of this minor version does not have."""
    if minor == NEWEST:
        return ()  # the shapes of the fields have refused them
    return tuple(name for name in names if name not in tables(minor)[program])


def flag_fault(
    program: str, name: str, value: str, minor: str = NEWEST
) -> tuple[str, str, str | None] | None:
    """Field ("name" or "value"), message and hint, if a program would not start with a flag."""
    flags: Mapping[str, str] = tables(minor)["flags"][program]
    if name not in flags:
        return "name", f"{_of(program, minor)} has no flag {name}", did_you_mean(name, flags)
    pattern, kind = _TEXT_FLAGS.get(flags[name], ("", ""))
    if pattern and not re.fullmatch(pattern, value):
        return "value", f"must be {kind}, not '{value}'", None
    if name == GATES_FLAG:
        for part in value.split(","):
            gate, _, given = part.strip().removeprefix("kube:").partition("=")
            if not re.fullmatch(_TEXT_FLAGS["bool"][0], given):
                return "value", f"'{part}' is not a feature gate", "for example AllAlpha=false"
            if fault := gate_fault(program, gate, given[0] in "tT1", minor):
                return "value", *fault
    return None


def gate_fault(
    program: str, gate: str, value: bool, minor: str = NEWEST
) -> tuple[str, str | None] | None:
    """Message and hint, if a program or kubeadm would not start with a value of a feature gate."""
    table: Mapping[str, Mapping[str, bool | None]] = tables(minor)["gates"]
    known = {**({} if program in OWN_GATES else table["common"]), **table[program]}
    if gate not in known:
        return f"{_of(program, minor)} has no feature gate {gate}", did_you_mean(gate, known)
    locked = known[gate]
    if locked is None or locked == value:
        return None
    return f"the feature gate {gate} is always {str(locked).lower()}", "remove it"


def _of(program: str, minor: str) -> str:
    """A program, and its version if it is not the newest."""
    return program if minor == NEWEST else f"{program} of Kubernetes {minor}"


def _fits(kind: Any, value: object, source: YamlFile, where: Where) -> bool:
    """Whether a value has a type of the table. Reports each part that does not fit."""
    if isinstance(kind, list):
        if value is not None and not isinstance(value, list):
            source.report(where, f"must be a list, not {describe(value)}", "write it in [ ]")
            return False
        parts = [_fits(kind[0], item, source, (*where, n)) for n, item in enumerate(value or ())]
        return all(parts)
    if isinstance(kind, dict):
        if value is not None and not isinstance(value, dict):
            source.report(where, f"must be a mapping, not {describe(value)}")
            return False
        entries = (value or {}).items()
        parts = [_entry_fits(kind, name, one, source, where) for name, one in entries]
        return all(parts)
    fault = _scalar_fault(kind, value)
    if fault is not None:
        source.report(where, *fault)
    return fault is None


def _entry_fits(
    kind: Mapping[str, Any], name: str, value: object, source: YamlFile, where: Where
) -> bool:
    known = kind.get(ANY_NAME, kind.get(name))
    if known is None:
        source.report((*where, name), "unknown field", did_you_mean(name, kind))
        return False
    return _fits(known, value, source, (*where, name))


def _scalar_fault(kind: str, value: object) -> tuple[str, str | None] | None:
    """Message and hint, if a value is not of a type without parts."""
    if kind == "any":
        return None
    if kind == "bool":
        if isinstance(value, bool):
            return None
        return f"must be true or false, not {describe(value)}", None
    if kind in _RANGES:
        least, most = _RANGES[kind]
        if isinstance(value, bool) or not isinstance(value, int):
            digits = isinstance(value, str) and re.fullmatch("[0-9]+", value)
            hint = f"write {value} without quotes" if digits else None
            return f"must be a whole number, not {describe(value)}", hint
        fits = least <= value <= most
        return None if fits else (f"must be between {least} and {most}, not {value}", None)
    if kind.startswith("float"):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return None
        return f"must be a number, not {describe(value)}", None
    if kind == "quantity" and isinstance(value, int) and not isinstance(value, bool):
        return None
    if not isinstance(value, str):
        quote = "put the value in quotes" if isinstance(value, bool | int | float) else None
        return f"must be text, not {describe(value)}", quote
    if kind == "duration" and not re.fullmatch(_DURATION, value):
        return f"must be a duration, not {describe(value)}", "for example 30s, 5m or 1h30m"
    if kind == "quantity" and not re.fullmatch(_QUANTITY, value):
        return f"must be a quantity, not {describe(value)}", "for example 500m or 2Gi"
    return None


def _schema(kind: Any) -> Schema:
    if isinstance(kind, list):
        return {"type": ["array", "null"], "items": _schema(kind[0])}
    if isinstance(kind, dict):
        if ANY_NAME in kind:
            return {"type": ["object", "null"], "additionalProperties": _schema(kind[ANY_NAME])}
        return {
            "type": ["object", "null"],
            "properties": {name: _schema(one) for name, one in kind.items()},
            "additionalProperties": False,
        }
    if kind in _RANGES:
        least, most = _RANGES[kind]
        return {"type": "integer", "minimum": least, "maximum": most}
    if kind.startswith("float"):
        return {"type": "number"}
    schemas: dict[str, Schema] = {
        "any": {},
        "bool": {"type": "boolean"},
        "string": {"type": "string"},
        "time": {"type": "string"},
        "duration": {"type": "string", "pattern": f"^({_DURATION})$"},
        "quantity": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    }
    return schemas[kind]
