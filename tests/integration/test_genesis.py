"""genesis, by its own tests in Go: they start etcd on the folders that it writes."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from plexctl.depot.golang import go_environment

SOURCES = Path(str(resources.files("plexctl") / "pins" / "genesis"))


@pytest.mark.parametrize(
    "words",
    [("gofmt", "-d", "."), ("go", "vet", "."), ("go", "test", "-count=1", ".")],
    ids=["format", "vet", "test"],
)
def test_genesis(words: tuple[str, ...]) -> None:
    env = go_environment() | {"CGO_ENABLED": "0"}
    done = subprocess.run(
        words, cwd=SOURCES, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-d" not in words or done.stdout == ""
