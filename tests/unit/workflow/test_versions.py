"""The versions of Kubernetes that the pins, the depot and the plexes of a lab have."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from plexctl.depot.components import SourceName
from plexctl.depot.index import Artifact, Index, Stored
from plexctl.errors import ConfigError, ExitCode
from plexctl.results.images import VersionRow
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.images.bake import images_to_bake
from plexctl.workflow.images.bake import versions as used_versions
from plexctl.workflow.images.versions import versions

OWN = """kubernetes:
  1.35.99:
    gobuild: {version: 1.35.99, module: own, programs: [kubeadm, kubelet, kubectl]}
    images:
      kube-apiserver: {reference: "registry.k8s.io/kube-apiserver:v1.35.99"}
      kube-controller-manager: {reference: "registry.k8s.io/kube-controller-manager:v1.35.99"}
      kube-scheduler: {reference: "registry.k8s.io/kube-scheduler:v1.35.99"}
      kube-proxy: {reference: "registry.k8s.io/kube-proxy:v1.35.99"}
      coredns: {reference: "registry.k8s.io/coredns/coredns:v1.13.1"}
      pause: {reference: "registry.k8s.io/pause:3.10.1"}
      etcd: {reference: "registry.k8s.io/etcd:3.6.6-0"}
modules:
  own: {version: 1.35.99, core_seconds: 1, programs: {kubeadm: a, kubelet: b, kubectl: c}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "hosts.yaml").write_text(
        "hosts: {near: {kind: incus, address: 10.9.0.1}}\n"
    )
    (tmp_path / "pins" / "own").mkdir(parents=True)
    (tmp_path / "pins" / "pins.yaml").write_text(OWN)
    for name in ("go.mod", "go.sum"):
        (tmp_path / "pins" / "own" / name).write_text("")
    return tmp_path


def plex(root: Path, name: str, text: str) -> None:
    (root / "clusters" / name).mkdir()
    (root / "clusters" / name / "plex.yaml").write_text(text)


def opened(root: Path) -> Context:
    return open_lab(root, cache=root / "cache", listener=lambda _: None)


def rows(ctx: Context) -> dict[str, VersionRow]:
    return {row.version: row for row in versions(ctx).versions}


def store(ctx: Context, version: str, component: str) -> None:
    """Put a component of a version into the depot."""
    index, content = Index.of(ctx.cache / "depot"), f"{component} {version}".encode()
    digest = hashlib.sha256(content).hexdigest()
    file = ctx.cache / component
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    index.blobs.take(file, digest)
    path = index.blobs.path(digest)
    artifact = Artifact(component, component, version, digest, len(content), path, 0o755)
    key = ctx.pins.release(version).component(component).key
    index.put(key, Stored(component, version, SourceName.GOBUILD, (artifact,)))


def test_a_minor_version_is_its_newest_patch_and_an_exact_one_stays(root: Path) -> None:
    plex(root, "one", 'kubernetes: "1.35"\n')
    plex(root, "two", 'kubernetes: "1.36"\n')
    plex(root, "three", "workers: 0\n")
    ctx = opened(root)
    found = rows(ctx)
    assert found["1.35.99"].plexes == ("one",)
    newest = ctx.pins.versions()[0]
    assert versions(ctx).default == newest
    assert set(found[newest].plexes) == {"two", "three"}
    (older,) = (one for one in found if one.startswith("1.35.") and one != "1.35.99")
    (root / "clusters" / "one" / "plex.yaml").write_text(f"kubernetes: {older}\n")
    assert rows(opened(root))[older].plexes == ("one",)


def test_only_a_version_with_programs_and_images_is_in_the_depot(root: Path) -> None:
    ctx = opened(root)
    store(ctx, "1.35.99", "kubernetes")
    assert not rows(ctx)["1.35.99"].stored
    store(ctx, "1.35.99", "images")
    found = rows(ctx)
    assert (found["1.35.99"].stored, found["1.35.99"].source) == (True, "gobuild")
    assert [version for version, row in found.items() if row.stored] == ["1.35.99"]


def test_a_version_without_checksums_can_only_be_built(root: Path) -> None:
    found = rows(opened(root))
    assert [version for version, row in found.items() if not row.released] == ["1.35.99"]


def test_only_the_versions_of_plexes_are_filled_and_baked(root: Path) -> None:
    plex(root, "one", 'kubernetes: "1.35"\n')
    ctx = opened(root)
    assert used_versions(ctx) == ("1.35.99",)
    assert set(images_to_bake(ctx, ())) == {("1.35.99", None)}
    plex(root, "two", "workers: 0\n")
    assert used_versions(opened(root)) == (ctx.pins.versions()[0], "1.35.99")


def test_an_unknown_version_is_refused_with_those_that_are_known(root: Path) -> None:
    plex(root, "one", 'workers: 1\nkubernetes: "1.33"\n')
    with pytest.raises(ConfigError) as caught:
        opened(root)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, "kubernetes")
    assert problem.message == "plexctl does not support Kubernetes 1.33"
    assert problem.hint is not None
    assert "1.35.99" in problem.hint
    assert caught.value.exit_code == ExitCode.USAGE
