"""The program that saves etcd on masters, by its own tests in Go: they use a real server of S3."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from plexctl.depot.golang import go_environment

from .s3_server import build

SOURCES = Path(str(resources.files("plexctl") / "pins" / "backup"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bin"))


@pytest.mark.parametrize(
    "words",
    [("gofmt", "-d", "."), ("go", "vet", "."), ("go", "test", "-count=1", ".")],
    ids=["format", "vet", "test"],
)
def test_backup(words: tuple[str, ...], server: Path) -> None:
    env = go_environment() | {"CGO_ENABLED": "0", "S3_SERVER": str(server)}
    done = subprocess.run(
        words, cwd=SOURCES, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-d" not in words or done.stdout == ""
