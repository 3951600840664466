"""Upstream's documents with plexctl's changes.

A file of changes lies beside this module. It is YAML with two lists:

- `objects`: documents that plexctl adds.
- `patches`: changes of documents, as kustomize's strategic merge has them. A patch without a name
  changes every document of its kind. Mappings merge, `null` deletes a field, `$patch: delete`
  deletes a document, or an entry, and with the last one the list. Lists whose entries have a name
  (`LIST_KEYS`) merge by it, and all other lists are replaced.

`${NAME}` in either list is a value that is known only for a plex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from plexctl.plan.documents import Document

LIST_KEYS = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
CLUSTER_SCOPED = frozenset({"ClusterRole", "ClusterRoleBinding", "Namespace"})
DIRECTIVE, DELETE = "$patch", "delete"


@dataclass(frozen=True, slots=True)
class Overlay:
    objects: tuple[Document, ...]
    patches: tuple[Document, ...]


@cache
def load(name: str) -> Overlay:
    """A file of changes of this package."""
    raw = yaml.load((files(__package__) / name).read_bytes(), yaml.CSafeLoader)
    return Overlay(tuple(raw["objects"]), tuple(raw["patches"]))


def apply(
    overlay: Overlay,
    upstream: Iterable[Document],
    values: Mapping[str, str],
    namespace: str,
    labels: Mapping[str, str],
) -> tuple[Document, ...]:
    """The objects of `overlay`, then `upstream`, both patched, in `namespace`, with `labels`.

    KeyError if a patch that applies needs a value that `values` lacks.
    """
    patches = overlay.patches
    whole: list[Document] = []
    for document in (*(_filled(one, values) for one in overlay.objects), *upstream):
        own = [one for one in patches if selects(one, document)]
        if any(one.get(DIRECTIVE) == DELETE for one in own):
            continue
        for one in own:
            document = merged(document, _filled(one, values))
        metadata = {**document["metadata"]}
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
        if document["kind"] not in CLUSTER_SCOPED:
            metadata["namespace"] = namespace
        whole.append({**document, "metadata": metadata})
    return tuple(whole)


def selects(patch: Document, document: Document) -> bool:
    """Whether `patch` changes `document`."""
    name = patch.get("metadata", {}).get("name")
    return patch["kind"] == document["kind"] and name in (None, document["metadata"]["name"])


def merged(below: Any, above: Any, field: str = "") -> Any:
    """`below`, the value of `field`, changed by the patch `above`. Neither is modified."""
    if isinstance(above, dict):
        result = dict(below) if isinstance(below, dict) else {}
        for key, value in above.items():
            found = None if value is None else merged(result.get(key), value, key)
            if found is None or (found == [] and key in LIST_KEYS):
                result.pop(key, None)
            else:
                result[key] = found
        return result
    if isinstance(above, list) and field in LIST_KEYS:
        return _by_key(below or [], above, LIST_KEYS[field])
    return above


def _by_key(below: list[Document], above: list[Document], key: str) -> list[Document]:
    entries = {one[key]: one for one in below}
    for one in above:
        if one.get(DIRECTIVE) == DELETE:
            entries.pop(one[key], None)
        else:
            entries[one[key]] = merged(entries.get(one[key]), one)
    return list(entries.values())


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([\w-]+)\}", lambda found: values[found[1]], value)
    return value
