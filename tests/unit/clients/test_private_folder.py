"""Folders with secrets end with the process that created them, also when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plexctl.clients import abandoned
from plexctl.clients.abandoned import delete_old_keys
from plexctl.clients.private_folder import private_folder

HOLDER = """
import sys, time
from pathlib import Path
from plexctl.clients.private_folder import private_folder
with private_folder("some", Path(sys.argv[1])) as folder:
    (folder / "key").write_text("canary")
    print(folder, flush=True)
    time.sleep(600)
"""


def old(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder, (then, then))


def gone(folder: Path) -> bool:
    for _ in range(6000):
        if not folder.exists():
            return True
        time.sleep(0.01)
    return False


def hold(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    argv = (sys.executable, "-c", HOLDER, str(parent))
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_it_is_private_and_deleted_at_the_end_of_the_block(tmp_path: Path) -> None:
    with private_folder("some", tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent == tmp_path
        (folder / "key").write_text("canary")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_is_deleted_when_its_process_is_killed(tmp_path: Path, number: int) -> None:
    process, folder = hold(tmp_path)
    assert (folder / "key").exists()
    process.send_signal(number)
    process.wait(60)
    assert gone(folder)


def test_one_that_was_left_is_deleted_by_the_next_call(tmp_path: Path) -> None:
    """As after a kill of the whole session."""
    left, young, other = (tmp_path / f"some-{name}" for name in ("abcdefgh", "ijklmnop", "notes"))
    for folder in (left, young, other):
        folder.mkdir()
        (folder / "key").write_text("canary")
    old(left, 3600)
    old(other, 3600)
    with private_folder("some", tmp_path):
        assert not left.exists()
        assert young.exists()
        assert other.exists()


def test_one_in_use_is_kept(tmp_path: Path) -> None:
    process, folder = hold(tmp_path)
    try:
        old(folder, 3600)
        with private_folder("some", tmp_path):
            assert (folder / "key").exists()
    finally:
        process.kill()
        process.wait()


def test_keys_that_older_versions_left_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process left the certificate and key of a super-admin in /dev/shm."""
    monkeypatch.setattr(abandoned, "MEMORY", tmp_path)
    left, fresh, foreign, link = (
        tmp_path / f"plexctl-{name}" for name in ("1jho0fqq", "1qw2urwy", "65h0d1zi", "goowee1_")
    )
    for folder in (left, fresh, foreign):
        folder.mkdir()
        (folder / "key").write_text("canary")
    (foreign / "notes").write_text("mine")
    link.symlink_to(foreign)
    for folder in (left, foreign):
        old(folder, 7200)
    delete_old_keys()
    assert not left.exists()
    assert fresh.exists()
    assert (foreign / "key").exists()
