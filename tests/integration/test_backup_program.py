"""The program that saves etcd on masters, by its own tests in Go.

With `PLEXCTL_KILLS`, which `bin/test soak` sets, they also use a real server of S3: to build that
takes minutes.
"""

from __future__ import annotations

import os
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from plexctl.depot.golang import go_environment

from .s3_server import build

SOURCES = Path(str(resources.files("plexctl") / "pins" / "backup"))


@pytest.mark.parametrize(
    "words",
    [("gofmt", "-d", "."), ("go", "vet", "."), ("go", "test", "-count=1", ".")],
    ids=["format", "vet", "test"],
)
def test_backup(words: tuple[str, ...], tmp_path: Path) -> None:
    env = go_environment() | {"CGO_ENABLED": "0"}
    if "test" in words and "PLEXCTL_KILLS" in os.environ:
        env["S3_SERVER"] = str(build(tmp_path))
    done = subprocess.run(
        words, cwd=SOURCES, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-d" not in words or done.stdout == ""
