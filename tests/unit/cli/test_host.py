"""The verbs `host add` and `host remove`, on a fake Proxmox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fake_pve import FakePve

from .conftest import Plexctl
from .proxmox_host import TOKEN, entry, type_in


def test_a_node_of_proxmox_is_added(
    plexctl: Plexctl, lab: Path, pve: FakePve, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ("host", "add", "pve1", pve.url, "--kind", "proxmox", "--token-id", TOKEN)
    type_in(monkeypatch, secret)
    unseen = plexctl(*add, "--token")
    assert unseen.code == 2  # nobody has agreed to its certificate
    assert pve.fingerprint.replace(":", "").lower() in unseen.err

    type_in(monkeypatch, secret)
    added = plexctl(*add, "--token", "-y", "-q")
    assert (added.code, added.out) == (0, f"host pve1 is at {pve.url}\n"), added
    written = entry(lab, "pve1")
    assert written.pop("facts")["memory"].endswith("MiB")
    assert written == {
        "kind": "proxmox",
        "url": pve.url,
        "certificate": pve.fingerprint.replace(":", "").lower(),
        "pool": "local-lvm",
        "bridge": "vmbr0",
        "proxmox": {"node": "pve1", "token": TOKEN, "iso": "local"},
    }

    again = plexctl(*add, "-q")  # the certificate is known, and the secret is stored
    assert (again.code, again.out) == (0, f"host pve1 is at {pve.url}: unchanged\n"), again
    for path in (path for path in lab.rglob("*") if path.is_file()):
        assert secret.encode() not in path.read_bytes(), path
    rows = json.loads(plexctl("host", "list", "--json").out)["hosts"]
    assert {row["name"]: row["unreachable"] for row in rows}["pve1"] is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--node", "pve7"), "pve7"),
        (("--pool", "nowhere"), "nowhere"),
    ],
)
def test_a_node_or_pool_that_proxmox_lacks_is_an_error_and_nothing_is_written(
    plexctl: Plexctl,
    lab: Path,
    pve: FakePve,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    said: str,
) -> None:
    before = (lab / "clusters" / "hosts.yaml").read_text()
    type_in(monkeypatch, secret)

    add = ("host", "add", "pve1", pve.url, "--kind", "proxmox", "--token-id", TOKEN, "--token")
    ended = plexctl(*add, "-y", "-q", *more)

    assert ended.code == 1
    assert said in ended.err
    assert (lab / "clusters" / "hosts.yaml").read_text() == before
    assert not (lab / "clusters" / "hosts").exists()


def test_a_wrong_token_is_an_error(
    plexctl: Plexctl, lab: Path, pve: FakePve, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, "00000000-0000-0000-0000-000000000000")
    add = ("host", "add", "pve1", pve.url, "--kind", "proxmox", "--token-id", TOKEN, "--token")
    ended = plexctl(*add, "-y", "-q")
    assert ended.code == 1
    assert "token" in ended.err
    assert not (lab / "clusters" / "hosts").exists()


def test_a_token_id_needs_its_kind_of_host(plexctl: Plexctl, lab: Path) -> None:
    for words in (("--kind", "proxmox"), ("--token-id", TOKEN)):
        ended = plexctl("host", "add", "far", "https://127.0.0.1:9", "-y", *words)
        assert ended.code == 2
        assert "--token-id and --kind proxmox need each other" in ended.err


def test_a_host_of_a_plex_cannot_be_removed(plexctl: Plexctl, lab: Path) -> None:
    assert "in use by plex alpha, beta" in plexctl("host", "remove", "local").err
    assert plexctl("host", "remove", "nowhere").code == 2
