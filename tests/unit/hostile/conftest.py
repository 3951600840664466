"""A lab of somebody else, and the files of the user that it tries to reach."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fake_incus import FakeIncus
from tests.hostile import USER
from tests.unit.cli.conftest import Plexctl, home, plexctl

__all__ = ["home", "plexctl"]  # fixtures

CANARY = "AGE-SECRET-KEY-1QQPQQ3TTNAZZXZ0A0J8H6E3F5D2S4L7M9N8B7V6C5X4Z3A2S1D0FGHJKL"
"""In the form of a private key of age."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Files of the user that are not in the lab."""

    root: Path

    def snapshot(self) -> dict[str, tuple[int, bytes | str]]:
        """Mode and content of everything."""
        return {
            str(path.relative_to(self.root)): (path.lstat().st_mode, _content(path))
            for path in sorted(self.root.rglob("*"))
        }


def _content(path: Path) -> bytes | str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else ""


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    found = Outside(tmp_path / "user")
    for name, content in {**USER, "age.key": f"{CANARY}\n"}.items():
        (found.root / name).parent.mkdir(parents=True, exist_ok=True)
        (found.root / name).write_text(content)
    return found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeIncus:
    """The only host of each lab: an empty server."""
    found = FakeIncus()
    monkeypatch.setattr(
        "plexctl.workflow.core.context.host_clients", lambda lab, seed: {"local": found}
    )
    return found


@pytest.fixture
def lab(tmp_path: Path, plexctl: Plexctl, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab with the plex demo that `plexctl init` has just created."""
    folder = tmp_path / "lab"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert plexctl("init", "demo", "--gitops").code == 0
    return folder


@pytest.fixture
def clone(lab: Path) -> Path:
    """The same lab as a repository delivers it: its `.plexctl` contains only what git would."""
    shutil.rmtree(lab / ".plexctl")
    (lab / ".plexctl").mkdir()
    return lab
