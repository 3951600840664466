"""Results as JSON: the fields of their dataclasses, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def json_text(result: DataclassInstance) -> str:
    """One object; paths are text, and names of fields are the keys."""
    return json.dumps(asdict(result), indent=2, ensure_ascii=False, default=_plain)


def document_text(document: Mapping[str, Any]) -> str:
    """A document of another tool, as Ansible's inventory."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def yaml_as_json(text: str) -> str:
    """A YAML document, as a kubeconfig."""
    import yaml

    return document_text(yaml.safe_load(text))


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a result has a {type(value).__name__}, which JSON has not")
