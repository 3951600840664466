"""plexctl without its checkout: a wheel in an environment of its own, a lab in an empty folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ..support import Lab, host_state, of_plex, uv


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `plexctl` of a wheel built from this checkout, with the locked dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    locked = folder / "requirements.txt"
    uv("export", "--frozen", "--no-dev", "--no-emit-project", "-q", "-o", str(locked))
    uv("build", "--wheel", "-q", "--out-dir", str(folder))
    uv("venv", "-q", str(folder / "env"))
    wheel = next(folder.glob("*.whl"))
    python = str(folder / "env" / "bin" / "python")
    uv("pip", "install", "-q", "--python", python, "--require-hashes", "-r", str(locked))
    uv("pip", "install", "-q", "--python", python, "--no-deps", str(wheel))
    return folder / "env" / "bin" / "plexctl"


def test_a_wheel_makes_a_plex_in_an_empty_folder(installed: Path, lab: Lab, tmp_path: Path) -> None:
    """The `lab` fixture is taken for its clean-up of what an earlier session left."""
    wheel = Lab(tmp_path, lab.home, command=(str(installed),))
    try:
        subprocess.run(
            [installed, "init", "wheel"],
            cwd=tmp_path,
            env={**os.environ, "XDG_CONFIG_HOME": str(lab.home)},
            check=True,
            timeout=60,
        )
        answer = wheel.ask("up", "wheel")

        assert {node["name"] for node in answer["nodes"] if node["ready"]} == {
            "wheel1",
            "wheel2",
            "wheel3",
        }
        assert wheel.run("plan").code == 0
    finally:
        wheel.run("destroy", "wheel", "-y", code=None)
    assert of_plex(host_state(), "wheel") == set()
