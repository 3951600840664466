"""Completion in a shell: names from the files of the lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plexctl.model.state import state_folder


def completed(lab: Path, line: str) -> list[str]:
    """The completions that bash would offer at the end of `line`."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_PLEXCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    argv = [sys.executable, "-m", "plexctl"]
    done = subprocess.run(
        argv, env=environment, cwd=lab, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("plexctl des", ["destroy"]),
        ("plexctl up ", ["alpha", "beta"]),
        ("plexctl status b", ["beta"]),
        ("plexctl ssh ", ["alpha1", "alpha2", "alpha3", "beta1", "master"]),
        ("plexctl replace --plex beta ", ["beta1", "master"]),
        ("plexctl -C .. up ", []),
        ("plexctl -C clusters/alpha use ", ["alpha", "beta"]),
        ("plexctl bake k", ["kube", "kubevm"]),
        ("plexctl init --gitops --app me", ["metallb", "metrics-server"]),
    ],
)
def test_names(lab: Path, line: str, offered: list[str]) -> None:
    assert completed(lab, line) == offered


def test_snapshots_are_completed_as_they_were_last_listed(lab: Path) -> None:
    for plex, names in (("alpha", "before\nbake\n"), ("beta", "other\n")):
        state_folder(lab / ".plexctl").below("plexes", plex).write("snapshots", names.encode())
    assert completed(lab, "plexctl snapshot restore b") == ["bake", "before"]
    assert completed(lab, "plexctl snapshot delete --plex beta ") == ["other"]


def test_a_faulty_file_completes_to_nothing(lab: Path) -> None:
    (lab / "clusters" / "alpha" / "plex.yaml").write_text("workers: [")
    assert completed(lab, "plexctl ssh ") == []
    assert completed(lab, "plexctl up ") == ["alpha", "beta"]
