"""A merge into a user's kubeconfig changes no other entry."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plexctl.errors import PlexError
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
