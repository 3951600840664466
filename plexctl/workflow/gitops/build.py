"""The Kustomizations of a tree, built in the order in which Flux applies them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from plexctl.clients.flux_build import BuiltObject, FluxBuild
from plexctl.errors import PlexError
from plexctl.plan.documents import Document
from plexctl.plan.gitops.flux_install import NAMESPACE
from plexctl.plan.gitops.flux_sync import NAME

GROUP = "kustomize.toolkit.fluxcd.io"

Key = tuple[str, str]
"""Namespace and name of a Kustomization."""

Reader = Callable[[Document], "Mapping[str, Any] | None"]
"""Reads the object in the cluster that a document names; None if there is none."""


@dataclass(slots=True)
class TreeBuilder:
    """Builds Kustomizations, and those that they create.

    `source` is the kind of the plex' source. `effective` returns a Kustomization as it would be in
    the cluster, where fields such as `suspend` may be set that the tree does not have; None if the
    API rejects it.
    """

    program: FluxBuild
    source: str
    read: Reader
    effective: Callable[[Document], Document | None]
    known: dict[Key, Document] = field(default_factory=dict)
    built: dict[Key, tuple[BuiltObject, ...]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def build_all(self, kustomizations: Iterable[Document]) -> None:
        """Add the Kustomizations, and all that are built from them, to `known`.

        `built` gets the objects of each one that Flux applies, unless it cannot be built: then
        `failures` gets the reason.
        """
        waiting = list(kustomizations)
        while waiting:
            kustomization = waiting.pop(_first_ready(waiting))
            key = key_of(kustomization)
            if key in self.known:
                continue
            self.known[key] = kustomization
            if kustomization["spec"].get("suspend"):
                continue
            try:
                objects = self._build(kustomization)
            except PlexError as error:
                text = " ".join((error.summary, *error.details))
                self.failures.append(f"Kustomization {shown_key(key)}: {text}")
                continue
            self.built[key] = objects
            children = (one.document for one in objects if self.is_child(one.document))
            waiting += [one for one in map(self.effective, children) if one]

    def is_child(self, document: Mapping[str, Any]) -> bool:
        """Whether an object is a Kustomization with the source of the plex."""
        if not is_kustomization(document):
            return False
        spec = document.get("spec")
        reference = spec.get("sourceRef") if isinstance(spec, dict) else None
        if not isinstance(reference, dict):
            return False
        namespace = reference.get("namespace") or document["metadata"].get("namespace")
        found = (reference.get("kind"), reference.get("name"), namespace)
        return found == (self.source, NAME, NAMESPACE)

    def _build(self, kustomization: Document) -> tuple[BuiltObject, ...]:
        spec = kustomization["spec"]
        if spec.get("kubeConfig"):
            raise PlexError("it applies to another cluster (spec.kubeConfig): not compared")
        return self.program.build(kustomization, self._variables(kustomization))

    def _variables(self, kustomization: Document) -> dict[str, str]:
        """The variables of `postBuild.substituteFrom`, from the tree or from the cluster."""
        found: dict[str, str] = {}
        namespace = key_of(kustomization)[0]
        for one in _items(kustomization["spec"].get("postBuild"), "substituteFrom"):
            kind, name = str(one.get("kind")), str(one.get("name"))
            source = self._find(kind, namespace, name)
            if source is None and not one.get("optional"):
                raise PlexError(f"spec.postBuild.substituteFrom: there is no {kind} {name}")
            data = (source or {}).get("data") or {}
            found |= _decoded(data) if kind == "Secret" else data
        return found

    def _find(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        wanted = f"{namespace}_{name}__{kind}"
        for objects in self.built.values():
            for one in objects:
                if one.id == wanted:
                    return one.document
        metadata = {"name": name, "namespace": namespace}
        return self.read({"apiVersion": "v1", "kind": kind, "metadata": metadata})


def is_kustomization(document: Mapping[str, Any]) -> bool:
    """Whether an object is a Kustomization of Flux, in any version."""
    group = str(document.get("apiVersion", "")).partition("/")[0]
    return group == GROUP and document.get("kind") == "Kustomization"


def key_of(kustomization: Mapping[str, Any]) -> Key:
    metadata = kustomization["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def shown_key(key: Key) -> str:
    """The name of a Kustomization; with its namespace unless that is Flux' own."""
    namespace, name = key
    return name if namespace == NAMESPACE else f"{namespace}/{name}"


def _first_ready(waiting: list[Document]) -> int:
    """The index of the first Kustomization that depends on no other one of the list.

    0 if there is none, because they depend on each other.
    """
    keys = {key_of(one) for one in waiting}
    for index, one in enumerate(waiting):
        namespace = key_of(one)[0]
        needs = _items(one["spec"], "dependsOn")
        if not any((n.get("namespace") or namespace, n.get("name")) in keys for n in needs):
            return index
    return 0


def _items(fields: object, name: str) -> Iterator[dict[str, Any]]:
    """The mappings in a list; nothing of a list that the API would reject."""
    listed = fields.get(name) if isinstance(fields, dict) else None
    return (one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict))


def _decoded(data: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
