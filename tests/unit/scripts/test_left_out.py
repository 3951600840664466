"""plexctl without its scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plexctl.scripts import NAMES

ROOT = Path(__file__).parents[3]
IMPORT_ALL = """
import pkgutil, importlib, plexctl
for one in pkgutil.walk_packages(plexctl.__path__, "plexctl."):
    if not one.name.endswith("__main__"):
        importlib.import_module(one.name)
"""


@pytest.fixture
def without(tmp_path: Path) -> Path:
    """A copy of plexctl that lacks the scripts, the plays and Ansible's plugins."""
    ignore = shutil.ignore_patterns("scripts", "plays", "plugins", "__pycache__")
    for folder in ("plexctl", "roles", "types", "terraform", "clusters", "apps"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder, ignore=ignore)
    return tmp_path / "copy"


def python(copy: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", *argv],
        cwd=copy.parent,
        env={
            **os.environ,
            "HOME": str(copy.parent),
            "PYTHONPATH": str(copy),
            "XDG_CACHE_HOME": str(copy.parent / "cache"),
            "XDG_CONFIG_HOME": str(copy.parent / "config"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_other_module_can_be_imported(without: Path) -> None:
    done = python(without, "-c", f"{IMPORT_ALL}\nprint(plexctl.__file__)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{without}/plexctl/__init__.py\n"


def test_plexctl_creates_a_lab_and_prints_its_inventory(without: Path) -> None:
    lab = str(without.parent / "lab")
    created = python(without, "-m", "plexctl", "-C", lab, "init")
    assert created.returncode == 0, created.stderr
    listed = python(without, "-m", "plexctl", "-C", lab, "inventory")
    assert listed.returncode == 0, listed.stderr
    assert "demo1" in listed.stdout


def test_links_in_bin_are_the_scripts() -> None:
    links = {one.name for one in (ROOT / "bin").iterdir() if one.is_symlink()}
    assert links == set(NAMES)
