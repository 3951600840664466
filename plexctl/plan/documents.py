"""Kubernetes documents as text: YAML with sorted keys, as Go's encoders write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

Document = dict[str, Any]
"""A Kubernetes object on its way to a file. It is built and dumped in one place."""


def dump(*documents: Mapping[str, Any]) -> str:
    """One or more documents as a YAML stream."""
    return yaml.dump_all(
        documents, Dumper=_WithoutAnchors, sort_keys=True, default_flow_style=False, width=1000
    )


class _WithoutAnchors(yaml.CSafeDumper):
    """Writes a value twice instead of an anchor."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Document:
    """`above` merged into `below`: mappings are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both and old is not None else value
    return merged
