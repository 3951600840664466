"""`flux diff`: what Flux would change after a push, by a server-side dry run of each object."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plexctl.bootstrap.cluster import api_access, cluster
from plexctl.bootstrap.flux import InventoryEntry, inventory, kustomizations
from plexctl.clients.flux_build import FLUX_BUILD, BuiltObject, FluxBuild
from plexctl.clients.kube.client import InvalidObjectError
from plexctl.clients.private_folder import private_folder
from plexctl.errors import UsageError
from plexctl.model.events import Outcome
from plexctl.model.gitops import Gitops, SourceKind
from plexctl.model.plex import Plex
from plexctl.plan.documents import Document, dump
from plexctl.plan.gitops.flux_sync import KINDS, root
from plexctl.results.apps import DiffResult, ObjectDiff
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import start
from plexctl.workflow.gitops.build import (
    GROUP,
    Key,
    TreeBuilder,
    is_kustomization,
    key_of,
    shown_key,
)
from plexctl.workflow.gitops.flux import require_flux
from plexctl.workflow.gitops.plain_secrets import plain_secrets
from plexctl.workflow.gitops.secrets import lab_sops
from plexctl.workflow.gitops.tree_files import tree_files
from plexctl.workflow.images.tools import tool

if TYPE_CHECKING:
    from plexctl.clients.kube.official import ObjectApi

MANAGER = "kustomize-controller"
"""The field manager of what Flux applies; the dry run is done in its name."""

UNMANAGED = {f"{GROUP}/reconcile": "disabled", f"{GROUP}/ssa": "ignore"}
"""Labels or annotations with which Flux neither changes nor deletes an object."""

UNPRUNED = {**UNMANAGED, f"{GROUP}/prune": "disabled"}
"""Labels or annotations with which Flux does not delete an object."""

CREATED_ONCE = {f"{GROUP}/ssa": "ifnotpresent"}
"""Labels or annotations with which Flux does not change an object that exists."""

RECREATED = {f"{GROUP}/force": "enabled"}
"""Labels or annotations with which Flux deletes and creates what cannot be changed."""

IMMUTABLE = re.compile(r"is invalid:|immutable")
"""Parts of the API's messages for a change of a field that cannot be changed."""

REJECTED = "rejected"
"""The action of an object that the API rejects; it is listed as a failure."""

SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
"""Fields of metadata that the API sets by itself."""


def diff(ctx: Context, plex: Plex) -> DiffResult:
    """The changes that Flux would make if the tree were pushed as it is. Changes nothing."""
    from plexctl.clients.kube import official  # takes half a second to import

    gitops = require_flux(plex)
    kind = KINDS[gitops.source.kind]
    with start(ctx.lab.state, "diff", plex.name, ctx.listener) as run:
        program = tool(ctx, run, FLUX_BUILD, FLUX_BUILD, plex.kubernetes)
        with (
            source(ctx.lab.root, gitops) as (folder, refused),
            official.api_client(api_access(plex, ctx.seed)) as client,
            cluster(plex, ctx.seed) as kube,
        ):
            api = official.ObjectApi(client)
            live = {key_of(one): one for one in kustomizations(kube, kind)}
            with run.step("build the tree") as step:
                flux = FluxBuild(program, folder, lab_sops(ctx))
                builder = TreeBuilder(
                    flux, kind, lambda one: read(api, one), lambda one: effective(api, one)
                )
                first = root(gitops)
                builder.build_all([effective(api, first) or first])
                pruned = prune(api, builder, live)
                # Flux also builds those that nobody creates any more, and nobody deletes.
                builder.build_all(_left(builder, live, pruned))
                pruned = prune(api, builder, live)
                step.end(Outcome.UNCHANGED, f"{sum(map(len, builder.built.values()))} objects")
            title = f"compare with {plex.name} by a dry run"
            with run.step(title), ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda one: compare(api, *one), _built(builder)))
    changes = (*(one for one in found if one is not None), *pruned.values())
    rejected = (f"{c.object}: {c.diff}" for c in changes if c.action == REJECTED)
    valid = tuple(c for c in changes if c.action != REJECTED)
    return DiffResult(plex.name, valid, (*refused, *builder.failures, *rejected))


@contextmanager
def source(lab: Path, gitops: Gitops) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A folder with the files that Flux would fetch, and why `flux push` would refuse them.

    For a source that is not the lab's registry that is the lab itself.
    """
    if gitops.source.kind is not SourceKind.REGISTRY:
        yield lab, ()
        return
    try:
        files = tree_files(lab)
    except UsageError as error:
        text = error.summary.removeprefix("nothing was pushed: ")
        raise UsageError(
            f"`flux push` refuses the tree: {text}", details=error.details, hint=error.hint
        ) from error
    refused = tuple(
        f"`flux push` refuses the tree: {one.file}:{one.line}: {one.message}"
        for one in plain_secrets(files)
    )
    with private_folder("plexctl-tree") as folder:  # the tree may have Secrets in plain text
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        yield folder, refused


def read(api: ObjectApi, document: Document) -> Mapping[str, Any] | None:
    """The object in the cluster that `document` names; None also if its kind is unknown."""
    from plexctl.clients.kube.official import NotServedError

    try:
        return api.read(document)
    except NotServedError:
        return None


def effective(api: ObjectApi, kustomization: Document) -> Document | None:
    """A Kustomization as it would be after Flux applies it; None if the API rejects it."""
    from plexctl.clients.kube.official import NotServedError

    try:
        before = api.read(kustomization)
        if _is_kept(kustomization, before):
            return before
        return api.dry_run_apply(kustomization, MANAGER)
    except NotServedError:
        return kustomization  # the same push creates its namespace
    except InvalidObjectError:
        return None  # the comparison reports it


def _built(builder: TreeBuilder) -> Iterator[tuple[str, BuiltObject, bool]]:
    """Kustomization, object, and whether Flux may recreate what it cannot change."""
    for key, objects in builder.built.items():
        force = bool(builder.known[key]["spec"].get("force"))
        yield from ((shown_key(key), one, force) for one in objects)


def compare(api: ObjectApi, app: str, built: BuiltObject, force: bool) -> ObjectDiff | None:
    """The change that applying an object as a part of `app` would make, or None.

    The action is "create", "update", or REJECTED for an object that the API rejects.
    """
    from plexctl.clients.kube.official import NotServedError

    document, before = built.document, None
    try:
        if not document["metadata"].get("namespace") and api.is_namespaced(document):
            return ObjectDiff(app, _name(document), REJECTED, "it has no namespace")
        before = api.read(document)
        if _is_kept(document, before):
            return None
        after = api.dry_run_apply(document, MANAGER)
    except InvalidObjectError as error:
        force = force or _any_of(document, RECREATED) or _any_of(before, RECREATED)
        if before and force and IMMUTABLE.search(error.summary):
            text = f"deleted and created again: {error.summary}"
            return ObjectDiff(app, _name(document), "update", text)
        return ObjectDiff(app, _name(document), REJECTED, error.summary)
    except NotServedError as error:
        # The same push creates its namespace or its kind.
        return ObjectDiff(app, _name(document), "create", f"new; not checked: {error.summary}")
    ignored = built.ignored if before else ()
    old, new = _shown(before, None, ignored), _shown(after, before, ignored)
    if old == new:
        return None
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "now", "after a push", lineterm="", n=2
    )
    return ObjectDiff(app, _name(document), "update" if before else "create", "\n".join(lines))


def _is_kept(document: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Whether Flux leaves an object as it is, or leaves it out."""
    if _any_of(document, UNMANAGED) or _any_of(before, UNMANAGED):
        return True
    return before is not None and _any_of(document, CREATED_ONCE)


def _any_of(document: Mapping[str, Any] | None, marks: Mapping[str, str]) -> bool:
    """Whether a label or an annotation of an object has one of the values; case does not count."""
    metadata = document["metadata"] if document else {}
    return any(
        str((metadata.get(place) or {}).get(name, "")).lower() == value
        for name, value in marks.items()
        for place in ("labels", "annotations")
    )


def _name(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    return f"{document['kind']} {namespace}/{name}" if namespace else f"{document['kind']} {name}"


@dataclass(frozen=True, slots=True)
class _Pruning:
    """A Kustomization that deletes objects: those that it does not have any more, or all."""

    key: Key
    entries: tuple[InventoryEntry, ...]


def prune(
    api: ObjectApi, builder: TreeBuilder, live: Mapping[Key, Mapping[str, Any]]
) -> dict[str, ObjectDiff]:
    """The objects that Flux has applied and would delete, by their id in an inventory.

    A Kustomization that is deleted deletes its own objects.
    """
    wanted = {id_ for objects in builder.built.values() for one in objects for id_ in _ids(one)}
    waiting = [
        _Pruning(key, inventory(one))
        for key, one in live.items()
        if key in builder.built and builder.known[key]["spec"].get("prune")
    ]
    found: dict[str, ObjectDiff] = {}
    while waiting:
        pruning = waiting.pop(0)
        for entry in pruning.entries:
            if entry.id in wanted or entry.id in found:
                continue
            existing = read(api, entry.document)
            if not existing or not _is_pruned(existing, pruning.key):
                continue
            app = shown_key(pruning.key)
            found[entry.id] = ObjectDiff(app, _name(entry.document), "delete", "deleted")
            if is_kustomization(existing) and _deletes_its_objects(existing):
                waiting.append(_Pruning(key_of(existing), inventory(existing)))
    return found


def _ids(built: BuiltObject) -> tuple[str, str]:
    """The id of an object, and that without the namespace, which the API drops for some kinds."""
    return built.id, f"_{built.id.partition('_')[2]}"


def _is_pruned(existing: Mapping[str, Any], owner: Key) -> bool:
    """Whether Flux deletes an object when its Kustomization does not have it any more."""
    labels = existing["metadata"].get("labels") or {}
    owners = labels.get(f"{GROUP}/namespace"), labels.get(f"{GROUP}/name")
    return owners == owner and not _any_of(existing, UNPRUNED)


def _deletes_its_objects(kustomization: Mapping[str, Any]) -> bool:
    """Whether the objects of a Kustomization are deleted with it.

    https://fluxcd.io/flux/components/kustomize/kustomizations/#deletion-policy
    """
    spec = kustomization["spec"]
    if spec.get("suspend"):
        return False
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    return bool(spec.get("prune")) if policy == "MirrorPrune" else policy != "Orphan"


def _left(
    builder: TreeBuilder, live: Mapping[Key, Mapping[str, Any]], pruned: Iterable[str]
) -> list[Document]:
    """The Kustomizations in the cluster that the tree does not have and that are not deleted."""
    gone = set(pruned)
    return [
        dict(one)
        for key, one in live.items()
        if key not in builder.known and f"{key[0]}_{key[1]}_{GROUP}_Kustomization" not in gone
    ]


def _shown(
    found: Mapping[str, Any] | None, before: Mapping[str, Any] | None, ignored: Iterable[str]
) -> str:
    """An object as YAML, without fields of the server and without values of Secrets.

    A value of a Secret that differs from that of `before` is shown as another one. `ignored` are
    JSON pointers (RFC 6901) of fields to leave out.
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
    for pointer in ignored:
        shown = _without(shown, pointer)
    return dump(shown)


def _without(document: Document, pointer: str) -> Document:
    """A copy of an object without the field of a JSON pointer."""
    changed = copy.deepcopy(document)
    names = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    place: Any = changed
    for name in names[:-1]:
        if isinstance(place, dict):
            place = place.get(name)
        elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        else:
            return document
    if names and isinstance(place, dict):
        place.pop(names[-1], None)
    elif names and isinstance(place, list) and names[-1].isdecimal():
        del place[int(names[-1]) : int(names[-1]) + 1]
    return changed
