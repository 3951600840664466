"""The artifact that `flux push` sends: the same for the same files, and nothing that is secret."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.workflow.tree import pack_tree

PATH = "clusters/demo"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in {
        "apps/web/kustomization.yaml": "resources: []\n",
        "apps/.hidden/x.yaml": "a: b\n",
        "clusters/hosts.yaml": "hosts: {local: {}}\n",
        "clusters/seed.age": "sealed",
        "clusters/demo/plex.yaml": "workers: 2\n",
        "clusters/demo/source-token.age": "sealed",
        "clusters/demo/kustomization.yaml": "resources: []\n",
        "roles/mine/tasks.yml": "[]\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path


def names(artifact: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(artifact))) as tar:
        return tar.getnames()


def test_it_has_what_flux_applies_and_none_of_the_labs_own_files(root: Path) -> None:
    assert names(pack_tree(root, PATH)) == [
        "apps/web/kustomization.yaml",
        "clusters/demo/kustomization.yaml",
    ]


def test_the_same_files_give_the_same_bytes(root: Path) -> None:
    before = pack_tree(root, PATH)
    (root / "clusters" / "demo" / "plex.yaml").write_text("workers: 9\n")
    for file in root.rglob("*.yaml"):
        file.touch()
    assert pack_tree(root, PATH) == before
    (root / "apps" / "web" / "kustomization.yaml").write_text("resources: [x.yaml]\n")
    assert pack_tree(root, PATH) != before


def test_a_plain_secret_is_refused_with_its_place(root: Path) -> None:
    file = root / "apps" / "web" / "secret.yaml"
    file.write_text("a: b\n---\nkind: Secret\nmetadata: {name: key}\nstringData: {word: open}\n")
    with pytest.raises(PlexError) as caught:
        pack_tree(root, PATH)
    assert caught.value.details == (f"{file}:3: Secret key",)
    assert "open" not in str(caught.value)


def test_a_lab_without_a_tree_is_told_how_to_begin(root: Path) -> None:
    with pytest.raises(PlexError, match=r"no kustomization\.yaml") as caught:
        pack_tree(root, "clusters/other")
    assert caught.value.hint == "`plexctl init --gitops` writes a tree to begin with"
