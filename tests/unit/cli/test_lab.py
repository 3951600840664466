"""Commands that need the files of a lab alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from .conftest import Plexctl


def test_init_writes_a_valid_lab_and_a_second_run_changes_nothing(
    plexctl: Plexctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = plexctl("init")
    assert first.code == 0
    assert "wrote clusters/demo/plex.yaml\n" in first.out
    assert "wrote clusters/seed.age\n" in first.out
    assert first.out.endswith("\nplexctl up demo\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert plexctl("init").out == ".: unchanged\n"
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert plexctl("inventory").code == 0


def test_another_plex_has_networks_of_its_own(plexctl: Plexctl, tmp_path: Path) -> None:
    networks = []
    for name in ("one", "two"):
        ended = plexctl("-C", str(tmp_path), "init", name, "--json")
        file = tmp_path / "clusters" / name / "plex.yaml"
        assert str(file) in json.loads(ended.out)["written"]
        networks.append(yaml.safe_load(file.read_text())["networks"])
    assert set(networks[0].values()).isdisjoint(networks[1].values())


def test_init_with_gitops_writes_apps(plexctl: Plexctl, tmp_path: Path) -> None:
    refused = plexctl("-C", str(tmp_path), "init", "one", "--app", "podinfo")
    assert (refused.code, list(tmp_path.iterdir())) == (2, [])
    written = json.loads(
        plexctl("-C", str(tmp_path), "init", "one", "--gitops", "--app", "podinfo", "--json").out
    )["written"]
    for name in ("clusters/one/kustomization.yaml", "apps/podinfo/release.yaml"):
        assert str(tmp_path / name) in written


def test_the_current_plex(plexctl: Plexctl, lab: Path) -> None:
    unsaid = plexctl("kubeconfig")
    assert unsaid.code == 2
    assert "no plex is named, and the lab has alpha, beta" in unsaid.err
    assert plexctl("use", "beta").code == 0
    assert yaml.safe_load(plexctl("kubeconfig").out)["clusters"][0]["name"] == "beta"
    assert yaml.safe_load(plexctl("kubeconfig", "alpha").out)["clusters"][0]["name"] == "alpha"
    assert plexctl("use", "gamma").code == 2


def test_kubeconfig_is_the_same_in_every_form(plexctl: Plexctl, lab: Path) -> None:
    as_yaml = yaml.safe_load(plexctl("kubeconfig", "alpha").out)
    assert json.loads(plexctl("kubeconfig", "alpha", "--json").out) == as_yaml
    wrote = plexctl("kubeconfig", "alpha", "--output", "k")
    assert wrote.out == "wrote k (context alpha-admin@alpha)\n"
    assert yaml.safe_load((lab / "k").read_text()) == as_yaml
    assert (lab / "k").stat().st_mode & 0o777 == 0o600
    assert plexctl("kubeconfig", "alpha", "--output", "k").out.startswith("unchanged: k")
    assert plexctl("kubeconfig", "alpha", "--output", "k", "--merge").code == 2


def test_merge_changes_the_users_own_file(plexctl: Plexctl, lab: Path, home: Path) -> None:
    """Their file may be a link into a folder of theirs: it stays one."""
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").symlink_to(home / "theirs")
    assert json.loads(plexctl("kubeconfig", "alpha", "--merge", "--json").out)["changed"]
    first = (home / "theirs").read_bytes()
    backup = home / "theirs.bak"
    assert plexctl("kubeconfig", "beta", "--merge").out.endswith(
        f"(context beta-admin@beta); the old file is {backup}\n"
    )
    assert backup.read_bytes() == first
    merged = yaml.safe_load((home / ".kube" / "config").read_text())
    assert [user["name"] for user in merged["users"]] == ["alpha-admin", "beta-admin"]
    assert merged["current-context"] == "beta-admin@beta"
    assert not json.loads(plexctl("kubeconfig", "beta", "--merge", "--json").out)["changed"]
    assert (home / "theirs.bak").read_bytes() == first
    assert [file.stat().st_mode & 0o777 for file in home.glob("theirs*")] == [0o600, 0o600]


def test_inventory_of_all_and_of_one(plexctl: Plexctl, lab: Path) -> None:
    everything = json.loads(plexctl("inventory", "--list").out)
    assert everything["alpha"]["hosts"] == ["alpha1", "alpha2", "alpha3"]
    assert everything["master"]["hosts"] == ["alpha1", "beta1"]
    one = json.loads(plexctl("inventory", "--host", "alpha2").out)
    assert one == everything["_meta"]["hostvars"]["alpha2"]
    config = Path(one["ansible_ssh_common_args"].removeprefix("-F "))
    assert "Host alpha2\n" in config.read_text()
    assert plexctl("inventory", "--host", "gamma1").code == 2


def test_depot_of_a_new_user_is_empty(plexctl: Plexctl, lab: Path, home: Path) -> None:
    listed = json.loads(plexctl("depot", "list", "--json").out)
    assert listed["folder"] == str(home / "cache" / "plexctl" / "depot")
    assert listed["components"] == []
    wrong = plexctl("depot", "fill", "--source", "thin-air")
    assert wrong.code == 2
    assert "sources: dir, release, gobuild" in wrong.err
    assert plexctl("depot", "fill", "--mirror", "https://here").code == 2


def test_bake_of_an_unknown_type(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("bake", "cake")
    assert ended.code == 2
    assert ended.err.startswith("error: there is no type cake\nhint: there are: ")


def test_a_damaged_name_of_the_current_plex_counts_as_none(plexctl: Plexctl, lab: Path) -> None:
    """Bytes that are no UTF-8 were an error of plexctl."""
    assert plexctl("use", "beta").code == 0
    (lab / ".plexctl" / "current").write_bytes(b"beta\xff\n")
    ended = plexctl("kubeconfig")
    assert ended.code == 2
    assert "no plex is named, and the lab has alpha, beta" in ended.err
