"""The scripts in bin/: they parse, explain themselves, and start the plexctl of their checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH = b"#!/usr/bin/env bash\n"
SCRIPTS = sorted(
    path
    for folder in (ROOT / "bin", ROOT / ".ci")
    for path in folder.rglob("*")
    if path.is_file() and (path.suffix == ".sh" or path.read_bytes().startswith(BASH))
)


def run(*argv: str | Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_parses_as_bash(script: Path) -> None:
    assert run("bash", "-n", script).stderr == ""


@pytest.mark.parametrize("name", ["quickstart", "test"])
def test_says_what_it_does_and_refuses_what_it_does_not_know(name: str, tmp_path: Path) -> None:
    shown = run(ROOT / "bin" / name, "--help", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"bin/{name} [")
    assert "#" not in shown.stdout

    refused = run(ROOT / "bin" / name, "nonsense")
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose plexctl tells its arguments, and whose `uv sync` makes that plexctl."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "bin", root / "bin")
    for name in ("uv.lock", "pyproject.toml"):
        (root / name).touch()
    plexctl = program(tmp_path / "plexctl", 'echo "plexctl in $PWD:" "$@"')
    program(
        tmp_path / "programs/uv",
        f"""
        [[ $1 == sync ]] || exit 0
        echo "$UV_PROJECT_ENVIRONMENT" "$@" >>{tmp_path}/calls
        mkdir -p {root}/.venv/bin
        cp {plexctl} {root}/.venv/bin/plexctl
        cp {plexctl} {root}/.venv/bin/python""",
    )
    return root


def start(checkout: Path, *words: str, by: Path | None = None) -> subprocess.CompletedProcess[str]:
    programs = checkout.parent / "programs"
    elsewhere = checkout.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return run(
        by or checkout / "bin/plexctl",
        *words,
        cwd=elsewhere,
        PATH=f"{programs}:{os.environ['PATH']}",
        XDG_CACHE_HOME=str(checkout.parent / "cache"),
    )


def syncs(checkout: Path) -> list[str]:
    return (checkout.parent / "calls").read_text().splitlines()


def test_plexctl_makes_its_environment_once_and_again_when_the_lock_changes(
    checkout: Path,
) -> None:
    first = start(checkout, "up", "a b")
    assert first.stdout == f"plexctl in {checkout.parent}/elsewhere: up a b\n"
    assert "uv.lock" in first.stderr
    assert len(syncs(checkout)) == 1
    assert syncs(checkout)[0].startswith(f"{checkout}/.venv sync")

    link = checkout.parent / "link"
    link.symlink_to(checkout / "bin/plexctl")
    again = start(checkout, "list", by=link)
    assert (again.stdout.split()[-1], again.stderr) == ("list", "")
    assert len(syncs(checkout)) == 1

    later = (checkout / ".venv/.plexctl-lock").stat().st_mtime + 5
    os.utime(checkout / "uv.lock", (later, later))
    assert start(checkout, "list").returncode == 0
    assert len(syncs(checkout)) == 2


def test_plexctl_does_not_trust_the_environment_of_a_moved_checkout(checkout: Path) -> None:
    start(checkout, "list")
    moved = checkout.rename(checkout.parent / "moved")
    start(moved, "list")
    assert syncs(moved)[1].startswith(f"{moved}/.venv sync")


def test_plexctl_says_what_failed_when_its_environment_cannot_be_made(checkout: Path) -> None:
    program(checkout.parent / "programs/uv", "[[ $1 == sync ]] || exit 0; echo no route; exit 7")
    failed = start(checkout, "list")
    assert failed.returncode == 1
    assert "no route" in failed.stderr
    assert "failed with code 7" in failed.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("script", ["plexctl", "mkgenders"])
def test_a_machine_without_home_in_the_environment_has_one(checkout: Path, script: str) -> None:
    """As in units of systemd and in CI: `HOME: unbound variable`."""
    start(checkout, "list")
    home = subprocess.run(("sh", "-c", "echo ~root"), capture_output=True, text=True).stdout
    plexctl = program(checkout / ".venv/bin/plexctl", "echo $HOME")
    program(checkout / ".venv/bin/python", plexctl.read_text().partition("\n")[2])
    done = run("env", "-u", "HOME", "-u", "XDG_CACHE_HOME", checkout / "bin" / script, "list")
    assert (done.returncode, done.stderr) == (0, "")
    if os.geteuid() == 0:
        assert done.stdout == home
