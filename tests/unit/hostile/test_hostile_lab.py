"""A lab that tries everything at once: no verb changes a file outside of it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from tests.fake_incus import FakeIncus
from tests.hostile import BASE, RUNNING, VERBS, attacks, links, plant, plant_link
from tests.unit.cli.conftest import Plexctl

from .conftest import Outside

ALONE = (
    "list",
    "plan demo",
    "up demo",
    "bake",
    "inventory",
    "destroy demo -y",
    "host prepare local",
    "flux push demo",
    "secret rotate",
    "render",
    "trust --list",
    "init other",
)
"""Verbs that run on each attack alone: together, one attack may hide another."""


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    def no_network(*_: object, **__: object) -> None:
        raise PlexError("there is no network")

    # An OpenTofu or Terraform of this machine would be used, and no depot asked for one.
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setattr("subprocess.Popen", fail)
    monkeypatch.setattr("plexctl.clients.ansible.play_runner", fail)
    monkeypatch.setattr("plexctl.depot.store.Depot.fill", no_network)
    monkeypatch.setattr("plexctl.clients.process.replace", lambda _: sys.exit(0))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"token")))


def run(plexctl: Plexctl, outside: Outside, verb: str) -> None:
    """Run a verb. Nothing of the user changes, and nothing of it is printed."""
    before = outside.snapshot()
    ended = plexctl(*verb.split())
    assert outside.snapshot() == before
    assert "bug in plexctl" not in ended.err
    assert "the user's own key" not in ended.out + ended.err
    assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize("verb", [*VERBS, *RUNNING])
def test_a_cloned_lab_changes_nothing_of_the_user(
    clone: Path,
    plexctl: Plexctl,
    outside: Outside,
    server: FakeIncus,
    no_programs: None,
    verb: str,
) -> None:
    """Its state folder came with the repository."""
    plant(clone, outside.root, BASE, *attacks())
    run(plexctl, outside, verb)


@pytest.mark.parametrize("attack", attacks())
def test_each_attack_alone_changes_nothing_of_the_user(
    clone: Path,
    plexctl: Plexctl,
    outside: Outside,
    server: FakeIncus,
    no_programs: None,
    attack: str,
) -> None:
    (clone / ".plexctl").rmdir()
    plant(clone, outside.root, BASE, attack)
    for verb in ALONE:
        run(plexctl, outside, verb)


@pytest.mark.parametrize("verb", VERBS)
def test_links_that_came_later_change_nothing_of_the_user(
    lab: Path,
    plexctl: Plexctl,
    outside: Outside,
    server: FakeIncus,
    no_programs: None,
    verb: str,
) -> None:
    """plexctl created the state folder, and a `git pull` has put a link into the lab."""
    plant(lab, outside.root, "links-lab")
    for name, target in links("links-state").items():
        plant_link(lab, outside.root, name, target)
        run(plexctl, outside, verb)
        (lab / name).unlink(missing_ok=True)
