"""How patches change documents of upstream."""

from __future__ import annotations

import pytest

from plexctl.plan.documents import Document
from plexctl.plan.gitops import overlay
from plexctl.plan.gitops.overlay import Overlay, apply, merged

from .upstream import upstream

FLUX = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")


def document(kind: str, name: str, **fields: object) -> Document:
    return {"kind": kind, "metadata": {"name": name}, **fields}


def applied(patches: list[Document], *documents: Document, **values: str) -> list[Document]:
    result = apply(Overlay((), tuple(patches)), documents, values, "here", {"by": "plexctl"})
    for one in result:
        assert one["metadata"].pop("labels") == {"by": "plexctl"}
    return list(result)


def test_mappings_merge_null_deletes_and_other_lists_are_replaced() -> None:
    below = {"keep": 1, "drop": 2, "deep": {"a": 1, "b": 2}, "args": ["x", "y"]}
    above = {"drop": None, "deep": {"b": 3, "c": {"d": None}}, "args": ["z"]}
    assert merged(below, above) == {"keep": 1, "deep": {"a": 1, "b": 3, "c": {}}, "args": ["z"]}
    assert below["deep"] == {"a": 1, "b": 2}


def test_lists_with_names_merge_by_name() -> None:
    below = {"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}
    above = {
        "env": [
            {"name": "a", "$patch": "delete"},
            {"name": "b", "value": None, "valueFrom": {"x": 1}},
            {"name": "c", "value": "3"},
            {"name": "d", "$patch": "delete"},
        ]
    }
    assert merged(below, above) == {
        "env": [{"name": "b", "valueFrom": {"x": 1}}, {"name": "c", "value": "3"}]
    }


def test_a_patch_without_a_name_changes_all_of_its_kind() -> None:
    patches: list[Document] = [
        {"kind": "A", "x": "${x-y}:1"},
        {"kind": "A", "metadata": {"name": "one"}, "y": 2},
    ]
    assert applied(
        patches, document("A", "one"), document("A", "two"), document("B", "b"), **{"x-y": "v"}
    ) == [
        {**document("A", "one", x="v:1", y=2), "metadata": {"name": "one", "namespace": "here"}},
        {**document("A", "two", x="v:1"), "metadata": {"name": "two", "namespace": "here"}},
        {**document("B", "b"), "metadata": {"name": "b", "namespace": "here"}},
    ]


def test_a_document_can_be_deleted() -> None:
    patch = {"kind": "A", "metadata": {"name": "one"}, "$patch": "delete"}
    (kept,) = applied([patch], document("A", "one"), document("A", "two"))
    assert kept["metadata"]["name"] == "two"


def test_objects_of_the_cluster_have_no_namespace() -> None:
    (role,) = applied([], document("ClusterRole", "r"))
    assert role["metadata"] == {"name": "r"}


def test_a_value_is_needed_only_by_patches_that_apply() -> None:
    patches = [{"kind": "A", "image": "${a}"}, {"kind": "B", "image": "${b}"}]
    (one,) = applied(patches, document("A", "one"), a="image")
    assert one["image"] == "image"
    with pytest.raises(KeyError):
        applied(patches, document("B", "b"), a="image")


@pytest.mark.parametrize(("name", "files"), [("flux", FLUX), ("argocd", ("argocd",))])
def test_every_patch_changes_something_of_upstream(name: str, files: tuple[str, ...]) -> None:
    """A patch whose document was renamed or deleted upstream would be lost without a word."""
    changes = overlay.load(f"{name}.yaml")
    documents = (*changes.objects, *upstream(*files))
    for patch in changes.patches:
        chosen = [one for one in documents if overlay.selects(patch, one)]
        assert chosen, patch
        assert all(merged(one, patch) != one for one in chosen), patch


@pytest.mark.parametrize(("name", "files"), [("flux", FLUX), ("argocd", ("argocd",))])
def test_every_container_and_every_deleted_entry_exists_upstream(
    name: str, files: tuple[str, ...]
) -> None:
    documents = upstream(*files)
    for patch in overlay.load(f"{name}.yaml").patches:
        pod = patch.get("spec", {}).get("template", {}).get("spec", {})
        for document in (one for one in documents if overlay.selects(patch, one)):
            there = document["spec"]["template"]["spec"] if pod else {}
            containers = {one["name"]: one for one in there.get("containers", ())}
            for container in pod.get("containers", ()):
                variables = {one["name"] for one in containers[container["name"]].get("env", ())}
                for variable in container.get("env", ()):
                    if "$patch" in variable:
                        assert variable["name"] in variables
            volumes = {one["name"] for one in there.get("volumes", ())}
            for volume in pod.get("volumes", ()):
                if "$patch" in volume:
                    assert volume["name"] in volumes
