"""`flux diff`: what a push would change, by a server-side dry run of each object of the tree."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from plexctl.bootstrap.cluster import api_access, cluster
from plexctl.bootstrap.flux import applied_objects
from plexctl.clients import process
from plexctl.clients.kube.client import InvalidObjectError
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
from plexctl.workflow.gitops.flux import require_flux
from plexctl.workflow.gitops.secrets import lab_sops
from plexctl.workflow.images.tools import tool

if TYPE_CHECKING:
    from plexctl.clients.kube.official import ObjectApi

MANAGER = "kustomize-controller"
"""The field manager of what Flux applies; the dry run is done in its name."""

VARIABLE = re.compile(r"\$(\$)?\{(\w+)(?::?[=-]([^}]*))?\}")
SUBSTITUTE = "kustomize.toolkit.fluxcd.io/substitute"
"""A label or annotation; with the value "disabled", Flux substitutes no variables."""

POLICY = "kustomize.toolkit.fluxcd.io/ssa"
KEEPING = ("IfNotPresent", "Ignore")
"""Values of the annotation POLICY with which Flux does not change an object that exists."""

REJECTED = "rejected"
"""The action of an object that the API rejects; it is listed as a failure."""

SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
"""Fields of metadata that the API sets by itself."""


def diff(ctx: Context, plex: Plex) -> DiffResult:
    """The changes that Flux would make if the tree were pushed as it is. Changes nothing."""
    from plexctl.clients.kube import official  # takes half a second to import

    gitops = require_flux(plex)
    with start(ctx.lab.state, "diff", plex.name, ctx.listener) as run:
        kubectl = tool(ctx, run, "kubernetes", "kubectl", plex.kubernetes)
        with run.step("build the tree") as step:
            variables = facts(plex, gitops, ctx.lab.registry)
            builder = TreeBuilder(ctx.lab.root, kubectl, variables, lab_sops(ctx))
            built = dict(builder.build_all(gitops))
            step.end(Outcome.UNCHANGED, f"{sum(map(len, built.values()))} objects")
        with run.step(f"compare with {plex.name} by a dry run"):
            objects = [(app, one) for app, documents in built.items() for one in documents]
            with (
                official.api_client(api_access(plex, ctx.seed)) as client,
                ThreadPoolExecutor(8) as pool,
            ):
                api = official.ObjectApi(client)
                found = list(pool.map(lambda pair: compare(api, *pair), objects))
            pruned = _pruned(ctx, plex, gitops, built)
    changes = (*(one for one in found if one is not None), *pruned)
    rejected = (f"{c.object}: {c.diff}" for c in changes if c.action == REJECTED)
    valid = tuple(c for c in changes if c.action != REJECTED)
    return DiffResult(plex.name, valid, (*builder.failures, *rejected))


@dataclass(slots=True)
class TreeBuilder:
    """Builds Kustomizations of the lab's tree as Flux does: kustomize, decrypt, substitute."""

    lab: Path
    kubectl: Path
    variables: Mapping[str, str]
    sops: Sops
    failures: tuple[str, ...] = ()

    def build_all(self, gitops: Gitops) -> Iterator[tuple[str, list[Document]]]:
        """Name and objects of the first Kustomization, and of each one that is built from it.

        A Kustomization that cannot be built is left out, and added to `failures`.
        """
        waiting, started = [root(gitops)], set[str]()
        while waiting:
            kustomization = waiting.pop(0)
            name = kustomization["metadata"]["name"]
            if name in started:
                continue
            started.add(name)
            try:
                objects = list(self._build(kustomization))
            except PlexError as error:
                lines = (error.summary, *error.details)
                self.failures += (f"Kustomization {name}: {' '.join(lines)}",)
                continue
            yield name, objects
            waiting += [one for one in objects if _is_child(one, KINDS[gitops.source.kind])]

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
            if "postBuild" in spec and not _has_substitution_disabled(document):
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
            return self.variables.get(name, default or "")

        text = VARIABLE.sub(value, dump(document))
        try:
            return dict(yaml.safe_load(text))
        except yaml.YAMLError:
            # The library's message may quote a Secret.
            raise PlexError(
                f"{_name(document)} is not valid YAML after its variables are substituted"
            ) from None


def _is_child(document: Document, kind: str) -> bool:
    """Whether an object is a Kustomization with the source of the plex, which is of `kind`."""
    version = str(document.get("apiVersion", ""))
    if not version.startswith("kustomize.toolkit.fluxcd.io/"):
        return False
    reference = document["spec"].get("sourceRef", {})
    return (reference.get("kind"), reference.get("name")) == (kind, NAME)


def _has_substitution_disabled(document: Document) -> bool:
    metadata = document.get("metadata", {})
    marks = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
    return bool(marks.get(SUBSTITUTE) == "disabled")


def compare(api: ObjectApi, app: str, document: Document) -> ObjectDiff | None:
    """The change that applying `document` as a part of `app` would make, or None.

    The action is "create", "update", or REJECTED for an object that the API rejects.
    """
    from plexctl.clients.kube.official import NotServedError

    metadata = document.setdefault("metadata", {})
    labels = metadata.setdefault("labels", {})
    labels["kustomize.toolkit.fluxcd.io/name"] = app
    labels["kustomize.toolkit.fluxcd.io/namespace"] = "flux-system"
    try:
        before = api.read(document)
        if before and metadata.get("annotations", {}).get(POLICY) in KEEPING:
            return None
        after = api.dry_run_apply(document, MANAGER)
    except InvalidObjectError as error:
        return ObjectDiff(app, _name(document), REJECTED, error.summary)
    except NotServedError as error:
        # The same push creates its namespace or its kind.
        return ObjectDiff(app, _name(document), "create", f"new; not checked: {error.summary}")
    old, new = _shown(before, None), _shown(after, before)
    if old == new:
        return None
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "now", "after a push", lineterm="", n=2
    )
    return ObjectDiff(app, _name(document), "update" if before else "create", "\n".join(lines))


def _key(document: Document) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def _name(document: Document) -> str:
    return _joined(*_key(document))


def _joined(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _pruned(
    ctx: Context, plex: Plex, gitops: Gitops, built: Mapping[str, list[Document]]
) -> list[ObjectDiff]:
    """The objects that Flux has applied and would delete, because the tree lacks them now."""
    wanted = {_key(one) for documents in built.values() for one in documents}
    with cluster(plex, ctx.seed) as kube:
        applied = applied_objects(kube, KINDS[gitops.source.kind])
    return [
        ObjectDiff(app, _joined(*key), "delete", "deleted")
        for app, *key in applied
        if tuple(key) not in wanted and app in built
    ]


def _shown(found: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> str:
    """An object as YAML, without fields of the server and without values of Secrets.

    A value of a Secret that differs from that of `before` is shown as another one.
    """
    if found is None:
        return ""
    shown = {key: value for key, value in found.items() if key != "status"}
    shown["metadata"] = {k: v for k, v in found["metadata"].items() if k not in SERVER_FIELDS}
    if found["kind"] == "Secret" and found.get("data"):
        old = (before or found).get("data") or {}
        shown["data"] = {
            key: "(secret)" if old.get(key) == value else "(another secret)"
            for key, value in found["data"].items()
        }
    return dump(shown)
