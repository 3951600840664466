"""A merge into a user's kubeconfig changes no other entry."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

from plexctl.errors import PlexError, UsageError
from plexctl.model.plex import Plex
from plexctl.render import lab_text
from plexctl.workflow.core.context import Context
from plexctl.workflow.plex import kubeconfig as kubeconfigs
from plexctl.workflow.plex.kubeconfig import merged, users_file

NEW = """\
apiVersion: v1
clusters:
- cluster: {server: "https://10.64.3.11:6443"}
  name: demo
contexts:
- context: {cluster: demo, user: demo-admin}
  name: demo-admin@demo
current-context: demo-admin@demo
kind: Config
users:
- name: demo-admin
  user: {client-key-data: bmV3}
"""

OLD = """\
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
clusters:
- name: work
  cluster:
    server: https://work
    extensions: [{when: 2020-01-01, mode: 0644, "on": yes, version: "1.10", number: 1e3}]
- name: demo
  cluster: {server: "https://old"}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: "null"}
users:
- name: me
  user:
    exec: &login {command: login, args: [--long, "%s"]}
- name: me-too
  user: {exec: *login}
""" % ("x" * 300)

FILE = Path("/home/me/.kube/config")


def letters(text: str) -> dict[str, object]:
    """A document with the exact text of every value."""
    loaded: dict[str, object] = yaml.load(text, yaml.BaseLoader)
    return loaded


def test_named_entries_are_replaced_and_all_others_keep_their_exact_text() -> None:
    text = merged(OLD, NEW, FILE)
    before, after, new = letters(OLD), letters(text), letters(NEW)
    for section in ("clusters", "contexts", "users"):
        named = {item["name"]: item for item in after[section]}  # type: ignore[attr-defined]
        wanted = {item["name"]: item for item in (*before[section], *new[section])}  # type: ignore[misc]
        assert named == wanted
    assert after["preferences"] == before["preferences"]
    assert after["current-context"] == "demo-admin@demo"
    # A value that is text stays text, and a number a number, for readers that tell them apart.
    assert yaml.safe_load(text)["clusters"][0] == yaml.safe_load(OLD)["clusters"][0]


def test_a_second_merge_changes_nothing() -> None:
    once = merged(OLD, NEW, FILE)
    assert merged(once, NEW, FILE) == once


@pytest.mark.parametrize("empty", ["{}", "users:\n", "clusters: null\nusers: []\n", "# mine\na: b"])
def test_a_file_without_the_lists_gets_them(empty: str) -> None:
    after = letters(merged(empty, NEW, FILE))
    for key in ("clusters", "contexts", "users", "current-context"):
        assert after[key] == letters(NEW)[key]


@pytest.mark.parametrize("broken", ["- a list", "just text", "users: {a: b}", "a: [", "\t"])
def test_a_file_that_is_not_a_kubeconfig_is_refused(broken: str) -> None:
    with pytest.raises(PlexError, match="cannot merge into /home/me/"):
        merged(broken, NEW, FILE)


@pytest.mark.parametrize(
    ("variable", "file"),
    [(None, ".kube/config"), ("/a:/b", "/a"), (":/b", "/b"), ("", ".kube/config")],
)
def test_the_file_is_that_of_kubectl(
    variable: str | None, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if variable is not None:
        monkeypatch.setenv("KUBECONFIG", variable)
    assert users_file() == tmp_path / file


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(kubeconfigs, "kubeconfig", lambda *_: NEW)
    monkeypatch.setattr(kubeconfigs, "LOCKED", 0.1)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "own"))
    return cast(Context, None)


DEMO = cast(Plex, SimpleNamespace(name="demo"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_merge_keeps_owner_group_and_mode_of_the_file_and_so_does_its_copy(
    ctx: Context, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(OLD)
    own.chmod(0o640)
    os.chown(own, 1000, 1001)

    kubeconfigs.merge(ctx, DEMO)

    for file in (own, tmp_path / "own.bak"):
        found = file.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1000, 1001, 0o640)
    assert (tmp_path / "own.bak").read_text() == OLD


def test_a_new_file_is_private_and_another_mode_stays(ctx: Context, tmp_path: Path) -> None:
    file = tmp_path / "new" / "config"
    kubeconfigs.write(ctx, DEMO, file)
    assert file.stat().st_mode & 0o7777 == 0o600
    file.write_text("")
    file.chmod(0o644)
    kubeconfigs.write(ctx, DEMO, file)
    assert file.stat().st_mode & 0o7777 == 0o644


def test_a_read_only_file_is_refused(ctx: Context, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text(OLD)
    own.chmod(0o400)
    refusal = r"refusing to write .*/own: it is read-only"
    with pytest.raises(UsageError, match=refusal):
        kubeconfigs.merge(ctx, DEMO)
    with pytest.raises(UsageError, match=refusal):
        kubeconfigs.write(ctx, DEMO, own)
    assert own.read_text() == OLD
    assert [file.name for file in tmp_path.iterdir()] == ["own"]


def test_merges_at_the_same_time_lose_no_cluster(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfigs, "kubeconfig", lambda _, plex: NEW.replace("demo", plex.name))
    monkeypatch.setattr(kubeconfigs, "LOCKED", 60.0)
    plexes = [cast(Plex, SimpleNamespace(name=f"p{number}")) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda plex: kubeconfigs.merge(ctx, plex), plexes))
    found = yaml.safe_load((tmp_path / "own").read_text())
    assert sorted(one["name"] for one in found["clusters"]) == [plex.name for plex in plexes]
    assert not (tmp_path / "own.lock").exists()


def test_the_lock_of_another_program_is_respected(ctx: Context, tmp_path: Path) -> None:
    """`kubectl config` creates it, without permissions."""
    lock = tmp_path / "own.lock"
    lock.touch(0)
    with pytest.raises(PlexError, match="waiting until no other program changes") as error:
        kubeconfigs.merge(ctx, DEMO)
    assert str(lock) in str(error.value.hint)
    assert lock.exists()
    assert not (tmp_path / "own").exists()


def test_a_lock_ends_with_a_merge_that_fails(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("- a list")
    with pytest.raises(PlexError, match="cannot merge"):
        kubeconfigs.merge(ctx, DEMO)
    assert [file.name for file in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("old", [OLD, "my notes", "a: [", ""])
def test_other_entries_of_an_output_file_are_kept_in_a_copy(
    ctx: Context, tmp_path: Path, old: str
) -> None:
    file = tmp_path / "output"
    file.write_text(old)
    result = kubeconfigs.write(ctx, DEMO, file)
    assert file.read_text() == NEW
    assert result.backup == (tmp_path / "output.bak" if old else None)
    assert ("the old file is" in lab_text.kubeconfig(result)) == bool(old)
    if old:
        assert (tmp_path / "output.bak").read_text() == old


def test_an_output_file_with_an_older_kubeconfig_of_the_plex_is_replaced(
    ctx: Context, tmp_path: Path
) -> None:
    file = tmp_path / "output"
    file.write_text(NEW.replace("bmV3", "b2xk"))
    assert kubeconfigs.write(ctx, DEMO, file).backup is None
    assert [one.name for one in tmp_path.iterdir()] == ["output"]
