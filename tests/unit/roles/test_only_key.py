"""only-key, which writes the keyring of a package repository, with the real gpg."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).parents[3] / "roles" / "host"
KEYS = Path(__file__).parent / "keys"
GOOD = "11EFA6D368386691139854B965C38DC11190CFCB"
OTHER = "D20E4D025423DF9CBF81737DFD32ED837A170F98"


def only_key(tmp_path: Path, *files: str) -> subprocess.CompletedProcess[str]:
    fetched = tmp_path / "fetched.asc"
    fetched.write_text("".join((KEYS / f"{name}.asc").read_text() for name in files))
    command: list[str | Path] = [ROLE / "files" / "only-key", GOOD, fetched]
    command.append(tmp_path / "keyring.gpg")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def fingerprints(keyring: Path) -> list[str]:
    shown = subprocess.run(
        ["gpg", "--show-keys", "--with-colons", keyring],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line.split(":") for line in shown.stdout.splitlines()]
    return [fields[9] for fields in lines if fields[0] == "fpr"]


@pytest.mark.parametrize("files", [("good",), ("good", "other"), ("other", "good")])
def test_the_keyring_has_that_key_and_no_other(tmp_path: Path, files: tuple[str, ...]) -> None:
    """The fingerprints of all keys of a file are printed: one that matches proves nothing."""
    keyring = tmp_path / "keyring.gpg"

    first, again = only_key(tmp_path, *files), only_key(tmp_path, *files)

    assert (first.returncode, first.stdout) == (0, "changed\n")
    assert (again.returncode, again.stdout) == (0, "")
    assert fingerprints(keyring) == [GOOD]
    assert keyring.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("files", [(), ("other",), ("good-as-subkey",)])
def test_a_file_without_that_key_is_refused(tmp_path: Path, files: tuple[str, ...]) -> None:
    keyring = tmp_path / "keyring.gpg"
    keyring.write_text("what was there")

    done = only_key(tmp_path, *files)

    assert done.returncode == 1
    assert done.stderr == f"there is no key with the fingerprint {GOOD}\n"
    assert keyring.read_text() == "what was there"


def test_a_key_of_somebody_else_may_contain_that_fingerprint() -> None:
    """A subkey has the fingerprint that it would have as a key of its own."""
    assert fingerprints(KEYS / "good-as-subkey.asc") == [OTHER, GOOD]


def test_the_packages_of_zabbly_are_signed_by_the_keyring_of_one_key() -> None:
    tasks = yaml.safe_load((ROLE / "tasks" / "zabbly.yml").read_text())
    script = next(task for task in tasks if "ansible.builtin.script" in task)
    source = next(task for task in tasks if "ansible.builtin.copy" in task)
    command = script["ansible.builtin.script"]["cmd"].split()

    assert command[0] == "only-key"
    assert command[1] == "4EFC590696CB15B87C73A3AD82CC8797C838DCFD"
    assert f"Signed-By: {command[3]}" in source["ansible.builtin.copy"]["content"].splitlines()
