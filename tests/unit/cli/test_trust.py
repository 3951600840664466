"""The verb `trust`, and -y of verbs that run parts of a lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.cli import terminal
from plexctl.depot.store import Depot

from .conftest import Plexctl


@pytest.fixture
def role(lab: Path) -> Path:
    file = lab / "roles" / "box" / "tasks" / "box.yml"
    file.parent.mkdir(parents=True)
    file.write_text("[]\n")
    return file


@pytest.fixture
def pins(lab: Path) -> Path:
    (lab / "pins").mkdir()
    (lab / "pins" / "pins.yaml").write_text("{}\n")
    return lab / "pins"


def states(plexctl: Plexctl) -> dict[str, str]:
    found = json.loads(plexctl("trust", "--list", "--json").out)["files"]
    return {row["file"]: row["state"] for row in found}


def test_trust_without_a_terminal_needs_y(plexctl: Plexctl, role: Path) -> None:
    ended = plexctl("trust")
    assert ended.code == 2
    assert "  new: roles/box/tasks/box.yml" in ended.err
    assert "hint: read these files, then run `plexctl trust -y`" in ended.err
    assert states(plexctl) == {"roles/box/tasks/box.yml": "new"}

    ended = plexctl("trust", "-y")
    assert ended.code == 0
    assert "  new: roles/box/tasks/box.yml" in ended.err
    assert "  trusted  roles/box/tasks/box.yml" in ended.out
    assert plexctl("trust").code == 0  # there is nothing to ask


def test_trust_asks_on_a_terminal(
    plexctl: Plexctl, role: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_terminal", lambda: True)
    asked: list[str] = []

    def confirm(text: str, *, err: bool) -> bool:
        asked.append(text)
        return len(asked) > 1

    monkeypatch.setattr("typer.confirm", confirm)
    refused = plexctl("trust")
    assert (refused.code, states(plexctl)) == (1, {"roles/box/tasks/box.yml": "new"})
    assert plexctl("trust").code == 0
    assert states(plexctl) == {"roles/box/tasks/box.yml": "trusted"}
    assert asked == ["They can do whatever you can do. Trust them?"] * 2


def test_trust_always_and_revoke(plexctl: Plexctl, role: Path) -> None:
    assert "later changes are trusted too" in plexctl("trust", "--always", "-y").out
    role.write_text("[{}]\n")
    assert states(plexctl) == {"roles/box/tasks/box.yml": "trusted"}
    assert plexctl("trust", "--revoke").code == 0
    assert states(plexctl) == {"roles/box/tasks/box.yml": "new"}
    assert plexctl("trust", "--revoke", "--list").code == 2


def test_a_lab_without_such_parts_says_so(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("trust")
    assert (ended.code, ended.out) == (
        0,
        "no part of this lab runs programs on this machine\n",
    )


def test_names_of_files_cannot_change_the_terminal(plexctl: Plexctl, role: Path) -> None:
    (role.parent / "\x1b[2Jx.yml").write_text("[]\n")
    for ended in (plexctl("trust"), plexctl("trust", "-y")):
        assert "\x1b" not in ended.out + ended.err
        assert "\\x1b[2Jx.yml" in ended.err


def test_the_seed_is_not_needed(plexctl: Plexctl, role: Path) -> None:
    (role.parents[3] / "clusters" / "seed.age").write_text("of somebody else")
    assert plexctl("trust", "-y").code == 0


def test_depot_fill_refuses_pins_without_trust(
    plexctl: Plexctl, pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []
    monkeypatch.setattr(Depot, "fill", lambda *_: filled.append("filled"))
    ended = plexctl("depot", "fill", "-q")
    assert (ended.code, filled) == (2, [])
    assert "refusing to run parts of this lab that you have not trusted" in ended.err
    assert "  new: pins/pins.yaml" in ended.err

    assert plexctl("depot", "fill", "-q", "-y").code == 0
    assert filled == ["filled"]
    assert plexctl("depot", "fill", "-q").code == 0  # -y has stored the decision
    (pins / "pins.yaml").write_text("components: {}\n")
    ended = plexctl("depot", "fill", "-q")
    assert ended.code == 2
    assert "  changed: pins/pins.yaml" in ended.err


@pytest.mark.parametrize(
    "verb",
    [
        "secret encrypt x.yaml",
        "secret rotate",
        "host prepare local -y",
        "render",
    ],
)
def test_verbs_that_run_a_part_refuse_it(
    plexctl: Plexctl, lab: Path, pins: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", fail)
    monkeypatch.setattr(Depot, "fill", fail)
    (lab / "x.yaml").write_text("kind: Secret\n")
    release = lab / "apps" / "web" / "release.yaml"
    release.parent.mkdir(parents=True)
    release.write_text(RELEASE)
    if "prepare" in verb:
        role = lab / "roles" / "host" / "tasks" / "incus.yml"
        role.parent.mkdir(parents=True)
        role.write_text("[]\n")
        monkeypatch.setattr("plexctl.cli.host_prepare.confirm", lambda *_: None)
        verb = verb.removesuffix(" -y")
    ended = plexctl(*verb.split())
    assert ended.code == 2, ended
    assert "refusing to run parts of this lab that you have not trusted" in ended.err


@pytest.mark.parametrize("verb", ["list", "status alpha", "plan alpha", "kubeconfig alpha"])
def test_verbs_that_run_no_part_do_not_look_at_them(
    plexctl: Plexctl, role: Path, pins: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("looked")

    monkeypatch.setattr("plexctl.workflow.trust.gate.judged_parts", fail)
    assert "looked" not in plexctl(*verb.split()).err


RELEASE = """
kind: HelmRelease
apiVersion: helm.toolkit.fluxcd.io/v2
metadata: {name: web, namespace: web}
spec:
  chart: {spec: {chart: web, version: 1.0.0, sourceRef: {kind: HelmRepository, name: web}}}
---
kind: HelmRepository
apiVersion: source.toolkit.fluxcd.io/v1
metadata: {name: web}
spec: {url: "https://charts.example.org"}
"""
