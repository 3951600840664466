"""The fields of an object that a manager owns, as the API server notes them in managedFields.

The form is FieldsV1 of k8s.io/apimachinery: `f:NAME` is a field, `k:{…}` an entry of a list by its
keys, and `.` the field or entry itself. Nothing below a value that is replaced as a whole is noted.
"""

from __future__ import annotations

import json
from typing import Any

from plexctl.plan.documents import Document

Keys = dict[str, str | None]
"""The keys of the entries of a list, with the default of each."""

LIST_KEYS: dict[str, Keys] = {
    "conditions": {"type": None},
    "containers": {"name": None},
    "env": {"name": None},
    "initContainers": {"name": None},
    "ownerReferences": {"uid": None},
    "volumeMounts": {"mountPath": None},
    "volumes": {"name": None},
}
"""Lists whose entries have keys. All others are replaced as a whole.

Source: +listMapKey in k8s.io/api; the lists that add-ons of plexctl use."""

PORT_KEYS: tuple[Keys, ...] = (
    {"containerPort": None, "protocol": "TCP"},
    {"port": None, "protocol": "TCP"},
)
"""The keys of the ports of a container, and of a Service."""

WHOLE = frozenset(
    {
        *("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"),
        *("labelSelector", "nodeSelector", "podSelector", "roleRef", "selector"),
    }
)
"""Mappings that are replaced as a whole: +structType=atomic and +mapType=atomic."""

NEVER_NULL = frozenset(
    {"acceptedNames", "conditions", "containers", "metadata", "spec", "strategy", "template"}
)
"""What an object without content has already: nobody creates it."""

IDENTITY = ("apiVersion", "kind", "metadata", "status")
NOT_OWNED = frozenset(
    {"creationTimestamp", "generation", "managedFields", "name", "namespace", "uid"}
)


def applied(document: Document, *, custom: bool = False) -> Document:
    """The fields that server-side apply of `document` owns.

    `custom`: a CustomResourceDefinition defines its kind. Such lists are replaced as a whole,
    and such mappings never, unless the schema says otherwise (those of Flux do not).
    """
    return _Walk(custom=custom, own=False).top(document)


def written(document: Document) -> Document:
    """The fields that the creation of `document` owns: a controller's POST with all defaults."""
    return _Walk(custom=False, own=True).top(document)


def created(content: Document) -> Document:
    """The fields that a manager owns who has written a part of an object, such as its status."""
    return _Walk(custom=False, own=True).fields(content)


def entry(manager: str, operation: str, document: Document, fields: Document) -> Document:
    """An entry of managedFields."""
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": document["apiVersion"],
        "time": "${now}",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


class _Walk:
    """`own`: whether a mapping or list is noted itself, besides what is in it."""

    def __init__(self, *, custom: bool, own: bool) -> None:
        self._custom, self._own = custom, own

    def top(self, document: Document) -> Document:
        metadata = {k: v for k, v in document["metadata"].items() if k not in NOT_OWNED}
        content = {key: one for key, one in document.items() if key not in IDENTITY}
        if metadata:
            content["metadata"] = metadata
        return self.fields(content)

    def fields(self, content: Document) -> Document:
        return {f"f:{key}": self._fields(key, one) for key, one in sorted(content.items())}

    def _fields(self, name: str, value: Any) -> Document:
        match value:
            case dict() if value and (self._custom or name not in WHOLE):
                found = self.fields(value)
                return {".": {}, **found} if self._own and name not in NEVER_NULL else found
            case list() if value and not self._custom and (keys := _keys(name, value[0])):
                found = {_key(keys, one): self._entry(name, one) for one in value}
                found = dict(sorted(found.items()))
                return {".": {}, **found} if self._own and name not in NEVER_NULL else found
        return {}

    def _entry(self, name: str, value: Document) -> Document:
        if name == "ownerReferences":  # its entries are replaced as a whole
            return {}
        return {".": {}, **self.fields(value)}


def _keys(name: str, first: Any) -> Keys | None:
    if name == "ports":
        return next(keys for keys in PORT_KEYS if next(iter(keys)) in first)
    return LIST_KEYS.get(name)


def _key(keys: Keys, one: Document) -> str:
    found = {key: one.get(key, default) for key, default in sorted(keys.items())}
    return f"k:{json.dumps(found, separators=(',', ':'))}"
