"""The images that `bake` bakes, and the versions for which the depot is filled."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from plexctl.depot.components import SourceName
from plexctl.depot.index import Artifact, Index, Stored
from plexctl.errors import UsageError
from plexctl.model.gitops import GitopsEngine
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.images.bake import images_to_bake, versions
from plexctl.workflow.images.depot import absent_images, is_useful
from plexctl.workflow.trust.records import Decision, decide


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "hosts.yaml").write_text(
        "hosts:\n  near: {kind: incus, address: 10.9.0.1}\n"
        "  far: {kind: incus, socket: /far.socket, address: 10.9.0.2}\n"
    )
    return tmp_path


def plex(root: Path, name: str, text: str) -> None:
    (root / "clusters" / name).mkdir()
    (root / "clusters" / name / "plex.yaml").write_text(text)


def opened(root: Path) -> Context:
    return open_lab(root, cache=root / "cache", listener=lambda _: None)


def wanted(
    ctx: Context, *types: str
) -> dict[tuple[str, GitopsEngine | None], set[tuple[str, str]]]:
    return {batch: set(those) for batch, those in images_to_bake(ctx, types).items()}


def test_all_types_of_all_plexes_are_baked_once_on_each_host(root: Path) -> None:
    plex(root, "one", "workers: 2\ngroups: [{nodes: 3, type: adm}]\n")
    plex(root, "two", "workers: 1\ngroups: [{nodes: 2, host: far}]\n")
    ctx = opened(root)
    (newest,) = versions(ctx)
    both = {("near", "kube"), ("near", "adm"), ("far", "kube")}
    assert wanted(ctx) == {(newest, None): both}
    assert wanted(ctx, "adm") == {(newest, None): {("near", "adm")}}


def test_each_version_has_images_of_its_own(root: Path) -> None:
    newest = opened(root).pins.versions()[0]
    older = "1.2.3"
    text = (files("plexctl") / "pins" / "pins.yaml").read_text().replace(newest, older)
    pins = yaml.load(text, yaml.CBaseLoader)
    pins["kubernetes"][older]["gobuild"]["module"] = "older"
    own = {
        "kubernetes": {older: pins["kubernetes"][older]},
        "modules": {"older": pins["modules"]["kubernetes"]},
    }
    (root / "pins" / "older").mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (root / "pins" / "older" / name).touch()
    (root / "pins" / "pins.yaml").write_text(yaml.dump(own))
    plex(root, "one", f"kubernetes: '{newest}'\n")
    plex(root, "two", f"kubernetes: '{older}'\n")
    ctx = opened(root)
    assert versions(ctx) == (newest, older)
    assert wanted(ctx) == {(newest, None): {("near", "kube")}, (older, None): {("near", "kube")}}


def test_a_type_that_no_plex_uses_is_baked_on_the_first_host(root: Path) -> None:
    ctx = opened(root)
    newest = ctx.pins.versions()[0]
    assert versions(ctx) == (newest,)
    assert wanted(ctx, "adm") == {(newest, None): {("near", "adm")}}
    with pytest.raises(UsageError, match="no plex, and no type is given"):
        wanted(ctx)


def test_the_program_for_flux_diff_is_filled_where_it_can_be_built(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No release has it: a machine without Go must fill its depot all the same."""
    plex(root, "one", "workers: 1\n")
    assert not is_useful(opened(root), "flux-build")
    plex(root, "two", "gitops: {source: 'https://example.org/lab.git'}\n")
    ctx = opened(root)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert is_useful(ctx, "flux-build")
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not is_useful(ctx, "flux-build")
    assert is_useful(ctx, "kubernetes")


def kubeadm_in_depot(ctx: Context, script: str) -> None:
    index, program = Index.of(ctx.cache / "depot"), f"#!/bin/sh\n{script}\n".encode()
    digest = hashlib.sha256(program).hexdigest()
    file = ctx.cache / "kubeadm"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(program)
    index.blobs.take(file, digest)
    path = index.blobs.path(digest)
    artifact = Artifact("kubernetes", "kubeadm", "1", digest, len(program), path, 0o755)
    release = ctx.pins.releases[0]
    stored = Stored("kubernetes", "1", SourceName.RELEASE, (artifact,))
    index.put(release.component("kubernetes").key, stored)


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        (
            'echo "registry.k8s.io/pause:3.10.2"; echo "registry.k8s.io/etcd:3.9.9-0"',
            ("registry.k8s.io/etcd:3.9.9-0",),
        ),
        ('[ "$4" = --kubernetes-version=v1.36.3 ] && echo registry.k8s.io/pause:3.10.2', ()),
        ("echo registry.k8s.io/etcd:3.9.9-0; exit 1", ()),
    ],
)
def test_images_that_kubeadm_asks_for_and_own_pins_lack_are_found(
    root: Path, script: str, absent: tuple[str, ...]
) -> None:
    """Nodes pulled them from the Internet, and nothing said so."""
    (root / "pins").mkdir()
    (root / "pins" / "pins.yaml").write_text("components: {}\n")
    ctx = opened(root)
    release = ctx.pins.releases[0]
    decide(root, Decision(always=True))
    assert absent_images(ctx, release) == ()  # the depot is empty
    kubeadm_in_depot(ctx, script)
    assert absent_images(ctx, release) == absent
    (root / "pins" / "pins.yaml").unlink()
    assert absent_images(ctx, release) == ()  # the built-in pins are complete
