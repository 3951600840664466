"""Results as JSON: the fields of their dataclasses, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_UNSAFE = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that JSON allows in a text as they are; json.dumps escapes those below a space."""

VERSION = 1
"""Of the keys of all answers and errors. It changes when a key is renamed or deleted."""


def json_text(result: DataclassInstance) -> str:
    """One object: "version", then the fields of `result` by name. Paths are strings."""
    return versioned(asdict(result))


def versioned(content: Mapping[str, Any]) -> str:
    """`content` as one object with "version" as its first key."""
    return _json({"version": VERSION, **content})


def document_text(document: Mapping[str, Any]) -> str:
    """A document whose format another tool defines: Ansible's inventory."""
    return _json(document)


def yaml_as_json(text: str) -> str:
    """A YAML document whose format another tool defines: a kubeconfig."""
    return document_text(yaml.safe_load(text))


def _json(value: object) -> str:
    """JSON with letters as they are, and what a terminal would obey or hide as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a result contains a {type(value).__name__}, which JSON does not support")
