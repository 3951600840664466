"""A run waits until the hosts have finished what an interrupted run started."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.depot.pins import load_pins
from plexctl.keys.seed import RootSeed
from plexctl.model.host import Host
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret
from plexctl.model.state import claim
from plexctl.provision.direct.engine import DirectEngine
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import start
from plexctl.workflow.plex.engines import settle_plex
from tests.fake_incus import FakeIncus


class Busy(FakeIncus):
    """A server that is changing these instances, one set for each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *sets: set[str]) -> None:
        super().__init__()
        self.sets = list(sets)
        monkeypatch.setattr(self.instances, "changing", lambda: frozenset(self.sets.pop(0)))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Its last run on demo was killed."""
    state = tmp_path / ".plexctl"
    (state / "runs").mkdir(parents=True, mode=0o700)
    claim(state)
    (state / "runs" / "20260101T000000.000-replace-demo.jsonl").write_text('{"event": "St')
    return state


def ended(state: Path, plex: str, server: FakeIncus) -> bool:
    lab, seed = Lab(state.parent, {}, {}, {}), RootSeed(Secret(bytes(32)))
    hosts: dict[str, Host] = {"local": server}
    ctx = Context(lab, seed, load_pins(), hosts, DirectEngine(hosts), state, lambda _: None)
    with start(state, "up", plex, lambda _: None) as run:
        return settle_plex(ctx, plex, run)


def test_a_run_after_a_killed_one_waits_until_its_nodes_are_settled(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Busy(monkeypatch, {"demo1", "demo12"}, {"demo1"}, {"demon1", "other"}, {"demo1"})

    assert ended(lab, "demo", server)
    assert server.sets == [{"demo1"}]  # it was not asked again
    assert not ended(lab, "demo", server)  # the run before has ended by itself


def test_without_a_killed_run_no_host_is_called(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Busy(monkeypatch)

    assert not ended(lab, "demon", server)
