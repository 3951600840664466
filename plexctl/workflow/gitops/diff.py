"""What a push would change: each object of the tree as the API itself would make it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plexctl.bootstrap.cluster import cluster
from plexctl.bootstrap.flux import applied
from plexctl.clients import process
from plexctl.clients.kube.client import Kube, RefusedError, UnreachableError
from plexctl.clients.sops import Sops
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from plexctl.model.gitops import Gitops
from plexctl.model.plex import Plex
from plexctl.plan.documents import Document, dump
from plexctl.plan.gitops.flux_sync import KINDS, NAME, facts, root
from plexctl.results.apps import DiffResult, ObjectDiff
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import start
from plexctl.workflow.gitops.flux import flux_of
from plexctl.workflow.gitops.secrets import keeper
from plexctl.workflow.images.tools import tool

FLUX = "kustomize-controller"
"""Whose fields are those that Flux applies: the dry run is done in its name."""

VARIABLE = re.compile(r"\$(\$)?\{(\w+)(?::?[=-]([^}]*))?\}")
NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
POLICY = "kustomize.toolkit.fluxcd.io/ssa"
KEEPING = ("IfNotPresent", "Ignore")
"""Values of POLICY with which Flux leaves what is there as it is."""

DISABLED = "kustomize.toolkit.fluxcd.io/substitute"


def diff(ctx: Context, plex: Plex) -> DiffResult:
    """What Flux would change if the tree were pushed as it is. Changes nothing."""
    gitops = flux_of(plex)
    with start(ctx.lab.state, "diff", plex.name, ctx.listener) as run:
        kubectl = tool(ctx, run, "kubernetes", "kubectl", plex.kubernetes)
        with run.step("build the tree") as step:
            builder = _Builder(
                ctx.lab.root, kubectl, facts(plex, gitops, ctx.lab.registry), keeper(ctx)
            )
            built = dict(builder.all(gitops))
            step.end(Outcome.UNCHANGED, f"{sum(map(len, built.values()))} objects")
        with run.step("ask the API what would change"), cluster(plex, ctx.seed) as kube:
            objects = [(app, one) for app, those in built.items() for one in those]
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda it: _compare(kube, *it), objects))
            gone = _pruned(kube, gitops, built)
    changes = (*(one for one in found if one is not None), *gone)
    failures = (*builder.failures, *(f"{c.object}: {c.text}" for c in changes if c.action == "!"))
    return DiffResult(plex.name, tuple(c for c in changes if c.action != "!"), failures)


@dataclass(slots=True)
class _Builder:
    """Builds Kustomizations as Flux does: kustomize, decryption, substitution."""

    lab: Path
    kubectl: Path
    facts: Mapping[str, str]
    sops: Sops
    failures: tuple[str, ...] = ()

    def all(self, gitops: Gitops) -> Iterator[tuple[str, list[Document]]]:
        """The objects of the first Kustomization, and of all that it brings."""
        waiting, seen = [root(gitops)], set[str]()
        while waiting:
            one = waiting.pop(0)
            name = one["metadata"]["name"]
            if name in seen:
                continue
            seen.add(name)
            try:
                objects = list(self._build(one))
            except PlexError as error:
                lines = (error.summary, *error.details)
                self.failures += (f"Kustomization {name}: {' '.join(lines)}",)
                continue
            yield name, objects
            waiting += [o for o in objects if _is_child(o, KINDS[gitops.source.kind])]

    def _build(self, kustomization: Document) -> Iterator[Document]:
        spec = kustomization["spec"]
        folder = self.lab / str(spec.get("path", "."))
        if not folder.is_dir():
            raise PlexError(f"there is no folder {folder.relative_to(self.lab)}")
        built = process.run((self.kubectl, "kustomize", folder), timeout=60, check=False)
        if built.code != 0:
            text = " ".join(built.stderr.replace(f"{self.lab}/", "").split())
            raise PlexError(text.removeprefix("error: "))
        for document in yaml.safe_load_all(built.stdout):
            if not document:
                continue
            if "sops" in document:
                document = self._decrypted(document)
            if "postBuild" in spec and not _is_raw(document):
                document = self._substituted(document)
            namespace = spec.get("targetNamespace")
            if namespace:
                document["metadata"]["namespace"] = namespace
            yield document

    def _decrypted(self, document: Document) -> Document:
        plain = self.sops.decrypt_built(dump(document).encode())
        return dict(yaml.safe_load(plain.reveal()))

    def _substituted(self, document: Document) -> Document:
        def value(found: re.Match[str]) -> str:
            escaped, name, default = found.groups()
            if escaped:
                return found[0][1:]
            return self.facts.get(name, default or "")

        text = VARIABLE.sub(value, dump(document))
        try:
            return dict(yaml.safe_load(text))
        except yaml.YAMLError:
            metadata = document["metadata"]
            named = _named(document["kind"], metadata.get("namespace", ""), metadata["name"])
            # What the library says may quote a Secret.
            raise PlexError(f"{named} is no YAML with the values of its variables") from None


def _is_child(document: Document, kind: str) -> bool:
    version = str(document.get("apiVersion", ""))
    if not version.startswith("kustomize.toolkit.fluxcd.io/"):
        return False
    reference = document["spec"].get("sourceRef", {})
    return (reference.get("kind"), reference.get("name")) == (kind, NAME)


def _is_raw(document: Document) -> bool:
    metadata = document.get("metadata", {})
    marks = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
    return bool(marks.get(DISABLED) == "disabled")


def _compare(kube: Kube, app: str, document: Document) -> ObjectDiff | None:
    metadata = document.setdefault("metadata", {})
    labels = metadata.setdefault("labels", {})
    labels["kustomize.toolkit.fluxcd.io/name"] = app
    labels["kustomize.toolkit.fluxcd.io/namespace"] = "flux-system"
    named = _named(document["kind"], metadata.get("namespace", ""), metadata["name"])
    try:
        before = kube.read(kube.path(document))
        if before and metadata.get("annotations", {}).get(POLICY) in KEEPING:
            return None
        after = kube.apply(document, manager=FLUX, dry_run=True)
    except RefusedError as error:
        return ObjectDiff(app, named, "!", error.summary)
    except UnreachableError as error:
        # Its namespace or its kind comes with the same push.
        return ObjectDiff(app, named, "+", f"new; not checked: {error.summary}")
    old, new = _shown(before, None), _shown(after, before)
    if old == new:
        return None
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "now", "after a push", lineterm="", n=2
    )
    return ObjectDiff(app, named, "~" if before else "+", "\n".join(lines))


def _named(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _pruned(kube: Kube, gitops: Gitops, built: Mapping[str, list[Document]]) -> list[ObjectDiff]:
    """What Flux has applied and would remove, as the tree has it no more."""
    wanted = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        for those in built.values()
        for one in those
    }
    return [
        ObjectDiff(app, _named(kind, namespace, name), "-", "removed")
        for app, kind, namespace, name in applied(kube, KINDS[gitops.source.kind])
        if (kind, namespace, name) not in wanted and app in built
    ]


def _shown(found: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> str:
    """An object as YAML, without what the API keeps for itself and without the value of a secret.

    `before` is what it was, by which a secret is said to be another one.
    """
    if found is None:
        return ""
    kept = {key: value for key, value in found.items() if key != "status"}
    kept["metadata"] = {k: v for k, v in found["metadata"].items() if k not in NOISE}
    if found["kind"] == "Secret" and found.get("data"):
        old = (before or found).get("data") or {}
        kept["data"] = {
            key: "(secret)" if old.get(key) == value else "(another secret)"
            for key, value in found["data"].items()
        }
    return dump(kept)
