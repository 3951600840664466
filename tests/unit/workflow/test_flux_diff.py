"""The tree is built as Flux builds it; a part that cannot be built is reported with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from plexctl.clients.kube.client import InvalidObjectError
from plexctl.clients.kube.official import NotServedError, ObjectApi
from plexctl.errors import PlexError
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.results.apps import ObjectDiff
from plexctl.workflow.gitops.diff import REJECTED, TreeBuilder, compare

from ..conftest import FakeSops

GITOPS = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.REGISTRY, ""), "clusters/demo", 60)
PLAIN = """\
kind: ConfigMap
metadata: {name: web, namespace: apps}
data: {colour: "${COLOUR:=red}", shape: "${SHAPE}"}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab whose `kubectl kustomize FOLDER` prints FOLDER/built.yaml."""
    (tmp_path / "clusters" / "demo").mkdir(parents=True)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\ncat "$2/built.yaml"\n')
    kubectl.chmod(0o755)
    return tmp_path


def builder(lab: Path, sops: FakeSops, built: bytes, **facts: str) -> TreeBuilder:
    (lab / "clusters" / "demo" / "built.yaml").write_bytes(built)
    return TreeBuilder(lab, lab / "kubectl", facts, sops())


def test_variables_are_substituted(lab: Path, fake_sops: FakeSops) -> None:
    building = builder(lab, fake_sops, PLAIN.encode(), SHAPE="round")
    ((_, (document,)),) = building.build_all(GITOPS)
    assert document["data"] == {"colour": "red", "shape": "round"}
    assert building.failures == ()


def test_a_value_that_breaks_the_yaml_is_reported_without_the_value(
    lab: Path, fake_sops: FakeSops
) -> None:
    building = builder(lab, fake_sops, PLAIN.encode(), SHAPE="canary: round")
    assert list(building.build_all(GITOPS)) == []
    (failure,) = building.failures
    assert failure.endswith(
        ": ConfigMap apps/web is not valid YAML after its variables are substituted"
    )


def test_a_secret_for_other_keys_is_reported(lab: Path, fake_sops: FakeSops) -> None:
    plain = b"kind: Secret\nmetadata: {name: key}\nstringData: {word: canary}\n"
    building = builder(lab, fake_sops, fake_sops(2).encrypt(plain, lab / "key.yaml"))
    assert list(building.build_all(GITOPS)) == []
    assert "cannot decrypt a Secret in the tree with the keys of this lab" in building.failures[0]


@dataclass
class FakeApi:
    """An API with the objects `existing`, which applies a document as it is, or raises `error`."""

    existing: dict[str, Any] = field(default_factory=dict)
    error: PlexError | None = None

    def read(self, document: dict[str, Any]) -> dict[str, Any] | None:
        return cast("dict[str, Any] | None", self.existing.get(document["metadata"]["name"]))

    def dry_run_apply(self, document: dict[str, Any], manager: str) -> dict[str, Any]:
        assert manager == "kustomize-controller"
        if self.error:
            raise self.error
        return document


def compared(api: FakeApi, document: dict[str, Any]) -> ObjectDiff | None:
    return compare(cast(ObjectApi, api), "web", document)


def secret(value: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "key", "namespace": "shop", "annotations": annotations}
    labels = {
        "kustomize.toolkit.fluxcd.io/name": "web",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    return {"kind": "Secret", "metadata": metadata | {"labels": labels}, "data": {"word": value}}


def test_an_object_that_stays_the_same_is_no_change() -> None:
    before = secret("canary")
    before["metadata"] = {**before["metadata"], "resourceVersion": "7", "uid": "1"}
    assert compared(FakeApi({"key": before}), secret("canary")) is None


def test_a_changed_secret_is_shown_without_its_value() -> None:
    found = compared(FakeApi({"key": secret("canary")}), secret("sparrow"))
    assert found is not None
    assert (found.object, found.action) == ("Secret shop/key", "update")
    assert "+  word: (another secret)" in found.diff
    assert "canary" not in found.diff
    assert "sparrow" not in found.diff


def test_an_existing_object_that_flux_keeps_is_no_change() -> None:
    keeping = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}
    assert compared(FakeApi({"key": secret("canary")}), secret("sparrow", **keeping)) is None
    assert compared(FakeApi(), secret("sparrow", **keeping)) is not None


def test_an_object_in_a_namespace_of_the_same_push_is_new() -> None:
    api = FakeApi(error=NotServedError('namespaces "shop" not found'))
    found = compared(api, secret("canary"))
    assert found is not None
    assert (found.action, found.diff) == (
        "create",
        'new; not checked: namespaces "shop" not found',
    )


def test_a_rejected_object_has_the_reason_of_the_api() -> None:
    found = compared(FakeApi(error=InvalidObjectError("data: too long")), secret("canary"))
    assert found is not None
    assert (found.action, found.diff) == (REJECTED, "data: too long")
