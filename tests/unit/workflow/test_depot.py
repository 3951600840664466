"""The images that `bake` bakes, and the versions for which the depot is filled."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from plexctl.errors import UsageError
from plexctl.model.gitops import GitopsEngine
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.images.bake import images_to_bake, versions


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
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
    (newest,) = opened(root).pins.versions()
    older = "1.2.3"
    pins = yaml.safe_load((files("plexctl") / "pins" / "pins.yaml").read_text())["kubernetes"]
    (root / "pins").mkdir()
    (root / "pins" / "pins.yaml").write_text(yaml.dump({"kubernetes": {older: pins[newest]}}))
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
