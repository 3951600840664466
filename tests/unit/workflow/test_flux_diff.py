"""The tree is built as Flux builds it; a part that cannot be built is reported with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.workflow.gitops.diff import TreeBuilder

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
