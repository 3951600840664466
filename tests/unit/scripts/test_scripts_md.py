"""The examples of docs/scripts.md are run, and answer what is written there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plexctl.scripts import NAMES

ROOT = Path(__file__).parents[3]
RECORDED = Path(__file__).parent / "recorded"
TEXT = (ROOT / "docs" / "scripts.md").read_text()

TOFU = f"""\
case $1 in
  state) [ "$2" = list ] && cat {RECORDED}/state-list.txt || cat {RECORDED}/terraform.tfstate ;;
  validate) cat {RECORDED}/validate.json ;;
  plan)
    case "$*" in
      *'-replace=terraform_data.generation["demo1"]') cat {RECORDED}/plan.jsonl ; exit 2 ;;
    esac
    echo "$*" >&2 ; exit 1 ;;
  apply) cat {RECORDED}/apply.jsonl ;;
esac
"""
"""Answers what a real program once did, to `state`, `validate`, `plan` and `apply`."""


def blocks() -> list[list[tuple[str, str]]]:
    """The commands of each example, with what they print."""
    found = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", TEXT):
        parts = re.split(r"(?m)^\$ (.*)\n", block)[1:]
        found.append(list(zip(parts[::2], parts[1::2], strict=True)))
    return found


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_examples_answer_what_the_documentation_says(tmp_path: Path) -> None:
    programs, here = tmp_path / "programs", tmp_path / "here"
    programs.mkdir()
    here.mkdir()
    for name in NAMES:
        program(programs / name, f'exec {sys.executable} -P -m plexctl.scripts {name} "$@"')
    program(programs / "plexctl", f'exec {sys.executable} -P -m plexctl "$@"')
    program(programs / "tofu", TOFU)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "TF_", "XDG_"))},
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "HOME": str(tmp_path),
        "NO_COLOR": "1",
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    seen = set()
    for command, written in (pair for block in blocks() for pair in block):
        seen |= set(re.findall(r"[\w-]+", command)) & {*NAMES, "plexhocs"}
        if file := re.fullmatch(r"cat (\S+)", command):
            (here / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (here / file[1]).write_text(written)
            continue
        if command == "getent hosts":
            (tmp_path / "hosts").write_text(written)
            program(programs / "getent", f"cat {tmp_path}/hosts")
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=here,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, written), (command, done.stderr)
    assert seen == {*NAMES, "plexhocs"} - {"lxdbake"}  # a bake needs Incus


@pytest.mark.parametrize("name", NAMES)
def test_each_explains_itself_from_another_folder_with_an_example(
    name: str, tmp_path: Path
) -> None:
    assert f"| [`{name}`](#{name}) |" in TEXT
    # A folder of the user's that is called as the package is not taken for it.
    (tmp_path / "plexctl").mkdir()
    (tmp_path / "plexctl" / "__init__.py").write_text("raise SystemExit('not this one')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "plexctl.scripts", name, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name} ")
    assert re.search(rf"(?m)^  (.*[|/ ])?{name}( |$)", done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_each_entry_starts_its_script(name: str, tmp_path: Path) -> None:
    """The entry of a checkout that has its environment; its python prints its arguments."""
    root = tmp_path / "checkout"
    (root / "bin" / "lib").mkdir(parents=True)
    for file in (f"bin/{name}", "bin/lib/script", "bin/lib/common.sh"):
        shutil.copy2(ROOT / file, root / file, follow_symlinks=False)
    for file in ("uv.lock", "pyproject.toml"):
        (root / file).touch()
    (root / ".venv" / "bin").mkdir(parents=True)
    program(root / ".venv/bin/plexctl", "exit 9")
    program(root / ".venv/bin/python", 'echo "$PYTHONPATH$@"')
    stamp = root / ".venv" / ".plexctl-lock"
    stamp.write_text(f"{root}\n")
    later = (root / "uv.lock").stat().st_mtime + 5
    os.utime(stamp, (later, later))
    link, relative = tmp_path / "link", tmp_path / "relative"
    link.symlink_to(root / "bin" / name)
    relative.symlink_to(f"checkout/bin/{name}")
    for entry in (root / "bin" / name, link, relative):
        done = subprocess.run(
            [entry, "a b", "-c"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": "/elsewhere"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout, done.stderr) == (f"-P -m plexctl.scripts {name} a b -c\n", "")
