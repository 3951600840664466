"""How the tree is built: what cannot be read of it is told, and all else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.workflow.gitops.diff import _Builder

from ..conftest import FakeSops

GITOPS = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.REGISTRY, ""), "clusters/demo", 60)
PLAIN = """\
kind: ConfigMap
metadata: {name: web, namespace: apps}
data: {colour: "${COLOUR:=red}", shape: "${SHAPE}"}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """kubectl there builds a folder by showing a file of it."""
    (tmp_path / "clusters" / "demo").mkdir(parents=True)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\ncat "$2/built.yaml"\n')
    kubectl.chmod(0o755)
    return tmp_path


def builder(lab: Path, sops: FakeSops, built: bytes, **facts: str) -> _Builder:
    (lab / "clusters" / "demo" / "built.yaml").write_bytes(built)
    return _Builder(lab, lab / "kubectl", facts, sops())


def test_variables_get_their_values(lab: Path, fake_sops: FakeSops) -> None:
    building = builder(lab, fake_sops, PLAIN.encode(), SHAPE="round")
    ((_, (document,)),) = building.all(GITOPS)
    assert document["data"] == {"colour": "red", "shape": "round"}
    assert building.failures == ()


def test_a_value_that_breaks_the_yaml_is_told_and_not_shown(lab: Path, fake_sops: FakeSops) -> None:
    building = builder(lab, fake_sops, PLAIN.encode(), SHAPE="canary: round")
    assert list(building.all(GITOPS)) == []
    (failure,) = building.failures
    assert failure.endswith(": ConfigMap apps/web is no YAML with the values of its variables")


def test_a_secret_for_other_keys_is_told(lab: Path, fake_sops: FakeSops) -> None:
    plain = b"kind: Secret\nmetadata: {name: key}\nstringData: {word: canary}\n"
    building = builder(lab, fake_sops, fake_sops(2).encrypt(plain, lab / "key.yaml"))
    assert list(building.all(GITOPS)) == []
    assert "no key of this lab opens a Secret of the tree" in building.failures[0]
