"""The artifact of `flux push`: equal for equal files, and without plain Secrets."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.config.load import load_lab
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.lab import Lab
from plexctl.workflow.core.run import start
from plexctl.workflow.gitops import tree
from plexctl.workflow.gitops.tree import pack_tree, push_tree

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


def test_the_artifact_has_files_for_flux_and_none_of_plexctl(root: Path) -> None:
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


def test_a_plain_secret_is_refused_with_file_and_line(root: Path) -> None:
    file = root / "apps" / "web" / "secret.yaml"
    file.write_text("a: b\n---\nkind: Secret\nmetadata: {name: key}\nstringData: {word: open}\n")
    with pytest.raises(PlexError) as caught:
        pack_tree(root, PATH)
    assert caught.value.details == (f"{file}:3: Secret key",)
    assert "open" not in str(caught.value)


def test_a_lab_without_a_tree_gets_a_hint_how_to_write_one(root: Path) -> None:
    with pytest.raises(PlexError, match=r"no kustomization\.yaml") as caught:
        pack_tree(root, "clusters/other")
    assert caught.value.hint == "`plexctl init --gitops` writes the first files"


HOSTS = f"""\
hosts:
  local: {{address: 10.0.0.5}}
  far:
    kind: incus
    url: https://10.0.0.7:8443
    certificate: {"ab" * 32}
    facts: {{cgroup: 2, cpus: 2, memory: 8GiB}}
registry: {{}}
"""
NO_ANSWER = UnreachableHostError("host far: no answer")


@dataclass
class Registries:
    """The registries of the hosts. Those of hosts in `full` have the artifact already."""

    unreachable: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    pushed: list[str] = field(default_factory=list)

    def client(self, ctx: object, registry: object, host: str) -> Any:
        def push(*_: object) -> tuple[str, bool]:
            if host in self.unreachable:
                raise NO_ANSWER
            self.pushed.append(host)
            return "sha256:0123", host not in self.full

        return SimpleNamespace(push=push)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Registries:
    found = Registries()
    monkeypatch.setattr(tree, "registry_client", found.client)
    return found


def lab_of(root: Path, plex: str) -> Lab:
    (root / "clusters" / "hosts.yaml").write_text(HOSTS)
    (root / "clusters" / "demo" / "plex.yaml").write_text(f"{plex}\ngitops: {{source: registry}}\n")
    return load_lab(root, ["1.36.3"])


def push(lab: Lab) -> tuple[str, bool]:
    ctx = SimpleNamespace(lab=lab)
    with start(lab.state, "push", "demo", lambda _: None) as run:
        return push_tree(cast(Any, ctx), lab.plexes["demo"], run)


@pytest.mark.parametrize(
    ("plex", "asked"),
    [
        ("host: local", {"local"}),
        ("host: far", {"far"}),
        ("hosts: [far, local]", {"far", "local"}),
    ],
)
def test_a_push_reaches_the_registry_of_each_host(
    root: Path, registries: Registries, plex: str, asked: set[str]
) -> None:
    assert push(lab_of(root, plex)) == ("sha256:0123", True)
    assert set(registries.pushed) == asked


def test_a_push_is_new_if_one_registry_lacked_it(root: Path, registries: Registries) -> None:
    lab = lab_of(root, "hosts: [local, far]")
    registries.full = {"local"}
    assert push(lab) == ("sha256:0123", True)
    registries.full = {"local", "far"}
    assert push(lab) == ("sha256:0123", False)


def test_an_unreachable_host_is_skipped_unless_the_master_runs_there(
    root: Path, registries: Registries
) -> None:
    registries.unreachable = {"far"}
    assert push(lab_of(root, "hosts: [local, far]")) == ("sha256:0123", True)
    with pytest.raises(UnreachableHostError):
        push(lab_of(root, "hosts: [far, local]"))
