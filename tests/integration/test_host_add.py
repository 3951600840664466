"""Other machines become hosts of a lab, and what is none does not."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from .nested import HERE_ALONE, NestedHost
from .support import Lab, typed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab on this machine, whose plex is never up."""
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    hosts_file(lab).write_text(HERE_ALONE)
    lab.run("init", "lonely")
    return lab


def hosts_file(lab: Lab) -> Path:
    return lab.root / "clusters" / "hosts.yaml"


def changed_token(token: str, **fields: str) -> str:
    return base64.b64encode(
        json.dumps({**json.loads(base64.b64decode(token)), **fields}).encode()
    ).decode()


def test_a_wrong_token_or_address_adds_no_host(alone: Lab, far: NestedHost) -> None:
    before = hosts_file(alone).read_text()
    token = far.token("plexctl-wrong")
    add = ("host", "add", "second")

    rubbish = typed(alone, "sesame", *add, far.url, "--token", code=2).err
    assert "error: this is not a trust token of Incus\n" in rubbish
    other = changed_token(token, fingerprint="ab" * 32)
    elsewhere = typed(alone, other, *add, far.url, "--token", code=1).err
    assert f"error: the token is of another server than {far.url}\n" in elsewhere
    assert f"  certificate of the server: {far.certificate}\n" in elsewhere
    spent = typed(
        alone, changed_token(token, secret="0" * 64), *add, far.url, "--token", code=1
    ).err
    assert f"error: {far.url} refuses the token\n" in spent
    nobody = f"https://{far.address.ip}:9"
    closed = typed(alone, token, *add, nobody, "--token", code=1).err
    assert f"error: {nobody} does not answer\n" in closed
    assert "refused" in closed
    assert "-y" in alone.run(*add, far.url, code=2).err  # nobody has seen its certificate
    stranger = alone.run(*add, far.url, "-y", code=1).err
    assert f"error: {far.url} does not trust this lab\n" in stranger

    for answer in (rubbish, elsewhere, spent, closed, stranger):
        assert token not in answer
        assert "Traceback" not in answer
    assert hosts_file(alone).read_text() == before


def test_a_token_makes_a_machine_a_host(alone: Lab, far: NestedHost) -> None:
    file = hosts_file(alone)
    token = far.token()

    added = typed(alone, token, "host", "add", "second", str(far.address.ip), "--token")
    assert f"host second is at {far.url}" in added.out
    assert file.read_text().startswith(HERE_ALONE)
    assert f"certificate: {far.certificate}" in file.read_text()
    left = [path for path in alone.root.rglob("*") if path.is_file()]
    assert not [path for path in left if token.encode() in path.read_bytes()]

    before = file.read_text()
    again = alone.run("host", "add", "second", far.url, "-y")  # it knows the lab by now
    assert "unchanged" in again.out
    assert file.read_text() == before
    rows = {row["name"]: row for row in alone.ask("host", "list")["hosts"]}
    assert rows.keys() == {"local", "second"}
    assert {row["unreachable"] for row in rows.values()} == {None}
    assert rows["second"]["endpoint"] == far.url


def test_prepare_of_a_host_leaves_it_as_it_is(alone: Lab, far: NestedHost) -> None:
    keys = ("--key", str(far.key), "--known-hosts", str(far.known_hosts))
    tokens = far.run("incus", "config", "trust", "list-tokens", "--format=csv")
    words = ("host", "prepare", "second", "--ssh", f"root@{far.address.ip}", *keys)

    answer = alone.ask(*words, "-y", "-q")

    assert {item["name"] for item in answer["items"] if item["changed"]} == set()
    assert answer["message"] == f"host second is at {far.url}"
    assert f"ssh: root@{far.address.ip}" in hosts_file(alone).read_text()
    assert far.run("incus", "config", "trust", "list-tokens", "--format=csv") == tokens


def test_a_name_is_one_machine_and_a_machine_has_one_name(alone: Lab, far: NestedHost) -> None:
    before = hosts_file(alone).read_text()

    taken = typed(alone, far.token(), "host", "add", "local", far.url, "--token", code=2).err
    assert "error: the lab already has a host local: this machine\n" in taken
    assert "hint: choose another name\n" in taken
    twice = alone.run("host", "add", "third", far.url, "-y", code=2).err
    assert f"error: the lab already has {far.url}, as host second\n" in twice
    login = ("--ssh", f"root@{far.address.ip}")
    assert "this machine" in alone.run("host", "prepare", "local", *login, "-y", code=2).err

    assert hosts_file(alone).read_text() == before


def test_an_unreachable_host_can_be_removed(alone: Lab, far: NestedHost) -> None:
    far.freeze()
    try:
        again = alone.run("host", "add", "second", far.url, "-y", code=1).err
        removed = alone.run("host", "remove", "second").out
    finally:
        far.thaw()

    assert f"error: {far.url} does not answer\n  read timed out\n" in again
    assert "host second is removed from the lab\n" in removed
    assert hosts_file(alone).read_text() == HERE_ALONE
