"""No verb changes a file outside of a hostile lab, with the real programs of the depot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from .hostile_namespace import CONTROL

SCRIPT = Path(__file__).with_name("hostile_namespace.py")


def namespaces() -> tuple[str, ...]:
    """The command that runs a program in namespaces of its own."""
    unshare = ("unshare", "--mount", "--net", "--propagation", "private")
    if os.geteuid() == 0:
        return unshare
    if shutil.which("sudo") and subprocess.run(("sudo", "-n", "true"), check=False).returncode == 0:
        return ("sudo", "-n", "env", f"PATH={os.environ['PATH']}", *unshare)
    return ("env", "USER_NAMESPACE=1", *unshare, "--user", "--map-root-user")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """The result of each verb on each variant of the lab."""
    space = tmp_path_factory.mktemp("space")
    done = subprocess.run(
        (*namespaces(), sys.executable, SCRIPT, space, user_cache_path()),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=1800,
    )
    yield [json.loads(line) for line in done.stdout.splitlines()]


def test_a_change_outside_of_the_lab_is_found(rows: list[dict[str, Any]]) -> None:
    assert [row["changed"] for row in rows if row["verb"] == CONTROL] == [["/pwned-control"]]


def test_no_verb_changes_a_file_outside_of_the_lab(rows: list[dict[str, Any]]) -> None:
    found = [
        (row["attack"], row["verb"], row["changed"])
        for row in rows
        if row["changed"] and row["verb"] != CONTROL
    ]
    assert found == []
    assert len(rows) > 120


def test_every_verb_ends_with_a_message(rows: list[dict[str, Any]]) -> None:
    found = [
        (row["attack"], row["verb"], row["code"], row["output"][-500:])
        for row in rows
        if row["code"] not in (0, 1, 2, 3, 255)
        or "bug in plexctl" in row["output"]
        or "Traceback" in row["output"]
        or "the user's own key" in row["output"]
    ]
    assert found == []
