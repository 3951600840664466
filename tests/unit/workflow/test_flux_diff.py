"""What `flux diff` reports: the tree in the order of Flux, changes, deletions, and what is kept."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from plexctl.bootstrap.flux import InventoryEntry
from plexctl.clients.flux_build import BuiltObject, FluxBuild
from plexctl.clients.kube.client import InvalidObjectError
from plexctl.clients.kube.official import NotServedError, ObjectApi
from plexctl.errors import PlexError, UsageError
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.results.apps import ObjectDiff
from plexctl.workflow.gitops.build import GROUP, Key, TreeBuilder, key_of
from plexctl.workflow.gitops.diff import REJECTED, compare, effective, prune, source

REGISTRY = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.REGISTRY, ""), "clusters/demo", 60)
ROOT: Key = ("flux-system", "plex")
Document = dict[str, Any]


def kustomization(name: str, **spec: Any) -> Document:
    source = {"kind": "OCIRepository", "name": "plex"}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system", "labels": owner("plex")},
        "spec": {"prune": True, "sourceRef": source, **spec},
    }


def owner(app: str) -> dict[str, str]:
    return {f"{GROUP}/name": app, f"{GROUP}/namespace": "flux-system"}


def config(name: str, app: str = "web", **data: str) -> Document:
    metadata = {"name": name, "namespace": "shop", "labels": owner(app)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def built(document: Document, *ignored: str) -> BuiltObject:
    metadata = document["metadata"]
    group = document["apiVersion"].rpartition("/")[0]
    id_ = f"{metadata.get('namespace', '')}_{metadata['name']}_{group}_{document['kind']}"
    return BuiltObject(id_, document, ignored)


@dataclass
class FakeProgram:
    """Builds the objects of `trees`, by the name of the Kustomization; keeps the variables."""

    trees: Mapping[str, list[Document]]
    variables: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def build(self, document: Document, variables: Mapping[str, str]) -> tuple[BuiltObject, ...]:
        name = document["metadata"]["name"]
        self.variables[name] = variables
        if name not in self.trees:
            raise PlexError(f"spec.path: the source has no folder {name!r}")
        return tuple(map(built, self.trees[name]))


@dataclass
class FakeApi:
    """An API with the objects `existing`, which merges a document into them, or raises `error`."""

    existing: dict[str, Document] = field(default_factory=dict)  # by kind and name
    error: PlexError | None = None

    @classmethod
    def of(cls, *documents: Document) -> FakeApi:
        return cls({f"{one['kind']} {one['metadata']['name']}": one for one in documents})

    def is_namespaced(self, document: Document) -> bool:
        return document["kind"] not in ("Namespace", "ClusterRole")

    def read(self, document: Document) -> Document | None:
        return self.existing.get(f"{document['kind']} {document['metadata']['name']}")

    def dry_run_apply(self, document: Document, manager: str) -> Document:
        assert manager == "kustomize-controller"
        if self.error:
            raise self.error
        before = self.read(document) or {}
        spec = {**before.get("spec", {}), **document.get("spec", {})}
        return {**document, "spec": spec} if spec else document


def builder(
    program: FakeProgram, api: FakeApi | None = None, *more: Document
) -> tuple[TreeBuilder, FakeProgram]:
    used = api or FakeApi()
    made = TreeBuilder(
        cast(FluxBuild, program),
        "OCIRepository",
        used.read,
        lambda one: effective(cast(ObjectApi, used), one),
    )
    made.build_all([kustomization("plex"), *more])
    return made, program


def test_a_kustomization_is_built_after_those_that_it_depends_on() -> None:
    children = [
        kustomization("web", dependsOn=[{"name": "infra"}]),
        kustomization("infra", dependsOn=[{"name": "secrets"}]),
        kustomization("secrets"),
        kustomization("other", sourceRef={"kind": "GitRepository", "name": "plex"}),
    ]
    made, _ = builder(FakeProgram({"plex": children, "web": [], "infra": [], "secrets": []}))
    assert [name for _, name in made.built] == ["plex", "secrets", "infra", "web"]
    assert made.failures == []


def test_kustomizations_that_depend_on_each_other_are_built_all_the_same() -> None:
    children = [
        kustomization("egg", dependsOn=[{"name": "hen"}]),
        kustomization("hen", dependsOn=[{"name": "egg"}]),
    ]
    made, _ = builder(FakeProgram({"plex": children, "egg": [], "hen": []}))
    assert [name for _, name in made.built] == ["plex", "egg", "hen"]


def test_one_that_cannot_be_built_stops_no_other() -> None:
    made, _ = builder(FakeProgram({"plex": [kustomization("web"), kustomization("b")], "b": []}))
    assert [name for _, name in made.built] == ["plex", "b"]
    assert made.failures == ["Kustomization web: spec.path: the source has no folder 'web'"]


def test_what_is_suspended_in_the_cluster_is_not_built() -> None:
    """`plexctl flux suspend` sets the field, which the tree does not have."""
    api = FakeApi.of(kustomization("web", suspend=True))
    made, _ = builder(FakeProgram({"plex": [kustomization("web")], "web": []}), api)
    assert [name for _, name in made.built] == ["plex"]
    assert made.failures == []


def test_another_cluster_is_not_compared() -> None:
    child = kustomization("far", kubeConfig={"secretRef": {"name": "far"}})
    made, _ = builder(FakeProgram({"plex": [child], "far": []}))
    assert made.failures == [
        "Kustomization far: it applies to another cluster (spec.kubeConfig): not compared"
    ]


def test_variables_come_from_the_tree_before_the_cluster() -> None:
    def of(kind: str, name: str, **data: str) -> Document:
        metadata = {"name": name, "namespace": "flux-system"}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}

    sources = [
        {"kind": "ConfigMap", "name": "plex-facts"},
        {"kind": "Secret", "name": "keys"},
        {"kind": "ConfigMap", "name": "absent", "optional": True},
    ]
    child = kustomization("web", postBuild={"substituteFrom": sources})
    secret = of("Secret", "keys", WORD=base64.b64encode(b"canary").decode())
    facts = of("ConfigMap", "plex-facts", NAME="new", COLOUR="=")
    program = FakeProgram({"plex": [child, facts], "web": []})
    builder(program, FakeApi.of(secret, of("ConfigMap", "plex-facts", NAME="old")))
    assert program.variables["web"] == {"NAME": "new", "COLOUR": "=", "WORD": "canary"}


def test_a_source_of_variables_that_does_not_exist_is_reported() -> None:
    child = kustomization("web", postBuild={"substituteFrom": [{"kind": "Secret", "name": "x"}]})
    made, _ = builder(FakeProgram({"plex": [child], "web": []}))
    assert made.failures == [
        "Kustomization web: spec.postBuild.substituteFrom: there is no Secret x"
    ]


@pytest.mark.parametrize("field_", ["dependsOn", "postBuild"])
def test_a_kustomization_of_any_shape_is_no_bug(field_: str) -> None:
    for value in ("text", 7, [7], {"substituteFrom": "text"}, None):
        made, _ = builder(
            FakeProgram({"plex": [kustomization("web", **{field_: value})], "web": []})
        )
        assert [name for _, name in made.built] == ["plex", "web"]


def test_a_kustomization_that_the_api_rejects_is_not_built() -> None:
    api = FakeApi(error=InvalidObjectError("spec.interval: required"))
    made, _ = builder(FakeProgram({"plex": [kustomization("web")], "web": []}), api)
    assert list(made.built) == [ROOT]


def compared(api: FakeApi, document: Document, *ignored: str, force: bool = False) -> ObjectDiff:
    found = compare(cast(ObjectApi, api), "web", built(document, *ignored), force)
    assert found is not None
    return found


def unchanged(api: FakeApi, document: Document, *ignored: str) -> bool:
    return compare(cast(ObjectApi, api), "web", built(document, *ignored), False) is None


def marked(document: Document, name: str, value: str, place: str = "annotations") -> Document:
    metadata = document["metadata"]
    marks = {**metadata.get(place, {}), f"{GROUP}/{name}": value}
    return {**document, "metadata": {**metadata, place: marks}}


def secret(value: str) -> Document:
    document = config("key")
    return {**document, "kind": "Secret", "data": {"word": value}}


def test_an_object_that_stays_the_same_is_no_change() -> None:
    before = secret("canary")
    before["metadata"] = {**before["metadata"], "resourceVersion": "7", "uid": "1"}
    assert unchanged(FakeApi.of(before), secret("canary"))


def test_a_changed_secret_is_shown_without_its_value() -> None:
    found = compared(FakeApi.of(secret("canary")), secret("sparrow"))
    assert (found.object, found.action) == ("Secret shop/key", "update")
    assert "+  word: (another secret)" in found.diff
    assert "canary" not in found.diff
    assert "sparrow" not in found.diff


@pytest.mark.parametrize("value", ["=", "2026-11-29", "0x1F", "yes", "<<"])
def test_texts_that_yaml_1_1_takes_for_something_else_are_texts(value: str) -> None:
    found = compared(FakeApi.of(config("web", colour="red")), config("web", colour=value))
    assert found.action == "update"
    (line,) = [line for line in found.diff.splitlines() if line.startswith("+  colour: ")]
    assert value in line


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_what_flux_keeps_is_no_change(place: str) -> None:
    old, new = config("web", colour="red"), config("web", colour="blue")
    for name, value in (("ssa", "IfNotPresent"), ("ssa", "Ignore"), ("reconcile", "disabled")):
        assert unchanged(FakeApi.of(old), marked(new, name, value, place))
    assert unchanged(FakeApi.of(marked(old, "reconcile", "Disabled", place)), new)
    assert unchanged(FakeApi(), marked(new, "ssa", "Ignore", place))
    created = compared(FakeApi(), marked(new, "ssa", "IfNotPresent", place))
    assert created.action == "create"


def test_ignored_fields_are_no_change() -> None:
    old, new = config("web", colour="red", shape="o"), config("web", colour="blue", shape="o")
    assert unchanged(FakeApi.of(old), new, "/data/colour", "/absent/field", "/data/0")
    other = compared(FakeApi.of(old), config("web", colour="blue", shape="x"), "/data/colour")
    assert "shape: x" in other.diff
    assert "colour" not in other.diff
    assert "blue" in compared(FakeApi(), new, "/data/colour").diff


def test_an_object_in_a_namespace_of_the_same_push_is_new() -> None:
    api = FakeApi(error=NotServedError('namespaces "shop" not found'))
    found = compared(api, secret("canary"))
    assert (found.action, found.diff) == (
        "create",
        'new; not checked: namespaces "shop" not found',
    )


def test_a_rejected_object_has_the_reason_of_the_api() -> None:
    found = compared(FakeApi(error=InvalidObjectError("data: too long")), secret("canary"))
    assert (found.action, found.diff) == (REJECTED, "data: too long")


def test_an_object_without_a_namespace_is_rejected_as_flux_does() -> None:
    document = config("web")
    del document["metadata"]["namespace"]
    assert compared(FakeApi(), document).action == REJECTED


def test_what_cannot_be_changed_is_recreated_where_flux_may() -> None:
    api = FakeApi.of(config("web", colour="red"))
    api.error = InvalidObjectError('ConfigMap "web" is invalid: data: field is immutable')
    new = config("web", colour="blue")
    assert compared(api, new).action == REJECTED
    for found in (compared(api, new, force=True), compared(api, marked(new, "force", "enabled"))):
        assert found.action == "update"
        assert found.diff.startswith("deleted and created again: ")


def applied(name: str, *documents: Document, **spec: Any) -> Document:
    """A Kustomization in the cluster, which has applied `documents`."""
    entries = [
        {"id": built(one).id.replace(":", "__"), "v": one["apiVersion"].rpartition("/")[2]}
        for one in documents
    ]
    return {**kustomization(name, **spec), "status": {"inventory": {"entries": entries}}}


def pruned(
    trees: Mapping[str, list[Document]], live: list[Document], *existing: Document
) -> list[str]:
    api = FakeApi.of(*live, *existing)
    made, _ = builder(FakeProgram(trees), api)
    found = prune(cast(ObjectApi, api), made, {key_of(one): one for one in live})
    assert all(one.action == "delete" for one in found.values())
    return sorted(f"{one.app}: {one.object}" for one in found.values())


def test_an_object_that_the_tree_lacks_is_deleted() -> None:
    old, new = config("old"), config("new")
    trees = {"plex": [kustomization("web")], "web": [new]}
    live = [applied("plex", kustomization("web")), applied("web", old, new)]
    assert pruned(trees, live, old, new) == ["web: ConfigMap shop/old"]
    assert pruned(trees, live, new) == [], "somebody has deleted it before"


def test_a_name_with_colons_is_not_deleted() -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "shop:reader:all", "labels": owner("plex")},
    }
    entry = BuiltObject("_shop__reader__all_rbac.authorization.k8s.io_ClusterRole", role)
    live = applied("plex", role)
    api = FakeApi.of(live, role)
    made, _ = builder(FakeProgram({"plex": []}), api)
    found = prune(cast(ObjectApi, api), made, {ROOT: live})
    assert [one.object for one in found.values()] == ["ClusterRole shop:reader:all"]
    made.built[ROOT] = (entry,)
    assert prune(cast(ObjectApi, api), made, {ROOT: live}) == {}


def test_entries_of_an_inventory_are_those_of_cli_utils() -> None:
    role = InventoryEntry("shop_a__b_rbac.authorization.k8s.io_Role", "v1")
    assert role.document == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "a:b", "namespace": "shop"},
    }
    space = InventoryEntry("_shop__Namespace", "v1")
    assert space.document == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop"},
    }


@pytest.mark.parametrize(
    "mark", [("prune", "disabled"), ("reconcile", "disabled"), ("ssa", "Ignore")]
)
def test_an_object_with_pruning_disabled_is_not_deleted(mark: tuple[str, str]) -> None:
    old = config("old")
    live = [applied("plex", kustomization("web")), applied("web", old)]
    trees: dict[str, list[Document]] = {"plex": [kustomization("web")], "web": []}
    assert pruned(trees, live, old) == ["web: ConfigMap shop/old"]
    assert pruned(trees, live, marked(old, *mark)) == []
    other = {**old, "metadata": {**old["metadata"], "labels": owner("other")}}
    assert pruned(trees, live, other) == [], "another Kustomization has taken it"


def test_a_kustomization_without_prune_deletes_nothing() -> None:
    old = config("old")
    trees: dict[str, list[Document]] = {"plex": [kustomization("web", prune=False)], "web": []}
    live = [applied("plex", kustomization("web")), applied("web", old)]
    assert pruned(trees, live, old) == []


def test_an_object_that_moves_to_another_kustomization_is_not_deleted() -> None:
    one = config("one")
    trees = {"plex": [kustomization("a"), kustomization("b")], "a": [], "b": [one]}
    live = [
        applied("plex", kustomization("a"), kustomization("b")),
        applied("a", one),
        applied("b"),
    ]
    moved = {**one, "metadata": {**one["metadata"], "labels": owner("a")}}
    assert pruned(trees, live, moved) == []


@pytest.mark.parametrize(
    ("spec", "objects"),
    [
        ({}, ["web: ConfigMap shop/old"]),
        ({"prune": False}, []),
        ({"suspend": True}, []),
        ({"deletionPolicy": "Orphan"}, []),
        ({"prune": False, "deletionPolicy": "Delete"}, ["web: ConfigMap shop/old"]),
    ],
)
def test_a_kustomization_that_goes_takes_its_objects_with_it(
    spec: dict[str, Any], objects: list[str]
) -> None:
    old = config("old")
    live = [applied("plex", kustomization("web")), applied("web", old, **spec)]
    assert pruned({"plex": []}, live, old) == sorted(
        ["plex: Kustomization flux-system/web", *objects]
    )


def test_one_that_cannot_be_built_deletes_nothing() -> None:
    old = config("old")
    live = [applied("plex", kustomization("web")), applied("web", old)]
    assert pruned({"plex": [kustomization("web")]}, live, old) == []


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "clusters" / "demo"
    folder.mkdir(parents=True)
    (tmp_path / "apps").mkdir()
    (folder / "kustomization.yaml").write_text("resources: []\n")
    (folder / "plex.yaml").write_text("workers: 1\n")
    return tmp_path


def test_the_source_has_what_a_push_would_publish(lab: Path) -> None:
    with source(lab, REGISTRY) as (folder, refused):
        files = [str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()]
        assert (files, refused) == (["clusters/demo/kustomization.yaml"], ())
    assert not folder.exists()


def test_what_a_push_refuses_is_reported(lab: Path) -> None:
    plain = "kind: Secret\nmetadata: {name: x}\nstringData: {word: canary}\n"
    (lab / "apps" / "x.yaml").write_text(plain)
    with source(lab, REGISTRY) as (_, refused):
        assert refused == ("`flux push` refuses the tree: apps/x.yaml:1: Secret x",)
    (lab / "apps" / "link").symlink_to("/etc")
    with (
        pytest.raises(UsageError, match="`flux push` refuses the tree: apps/link is a symbolic"),
        source(lab, REGISTRY),
    ):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.workflow.gitops.diff import source
gitops = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.REGISTRY, ""), "clusters/demo", 60)
with source(Path(sys.argv[1]), gitops) as (folder, _):
    assert (folder / "apps" / "x.yaml").exists()
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_source_ends_with_a_diff_that_is_killed(lab: Path) -> None:
    """It may have what a push refuses: Secrets in plain text."""
    plain = "kind: Secret\nmetadata: {name: x}\nstringData: {word: canary}\n"
    (lab / "apps" / "x.yaml").write_text(plain)
    argv = (sys.executable, "-c", KILLED, str(lab))
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("plexctl-tree-")
    for _ in range(6000):
        if not folder.exists():
            return
        time.sleep(0.01)
    pytest.fail(f"{folder} is left")


def test_a_source_in_git_is_the_lab_itself(lab: Path) -> None:
    git = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.HTTPS, "https://x/y.git"), "deploy", 60)
    with source(lab, git) as (folder, refused):
        assert (folder, refused) == (lab, ())
