"""Fixtures for tests of several packages: a stand-in for SOPS."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from plexctl.clients.sops import Sops
from plexctl.keys.age import identity_file, sops_recipient
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

# A busy machine is no fault of the code.
settings.register_profile("plexctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("plexctl")

SEED = RootSeed(Secret(bytes(range(32))))


@dataclass(frozen=True, slots=True)
class FakeSops:
    """A program that keeps a log of how it was called."""

    binary: Path

    def __call__(self, epoch: int = 1, seed: RootSeed = SEED) -> Sops:
        return Sops(self.binary, identity_file(seed, epoch), sops_recipient(seed, epoch))

    def calls(self) -> list[dict[str, Any]]:
        log = self.binary.with_suffix(".log")
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own state folder, where plexctl records the labs that it created."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def fake_sops(tmp_path: Path) -> FakeSops:
    source = Path(__file__).with_name("fake_sops.py").read_text().partition("\n")[2]
    binary = tmp_path / "bin" / "sops"
    binary.parent.mkdir()
    binary.write_text(f"#!{sys.executable}\n{source}")
    binary.chmod(0o755)
    return FakeSops(binary)
