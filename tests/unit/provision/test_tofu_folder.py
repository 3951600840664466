"""plexctl waits for an OpenTofu that outlived its plexctl, for a limited time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.clients.tofu import STATE
from plexctl.errors import PlexError
from plexctl.model.folder import Folder
from plexctl.provision.tofu import folder as tofu_folder
from plexctl.provision.tofu.folder import TofuFolder
from tests.null_reporter import NullReporter

HOLD = """
import fcntl, sys
state = open(sys.argv[1], "r+b")
fcntl.lockf(state, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> TofuFolder:
    folder = TofuFolder(Folder(tmp_path, private=True))
    folder.files.create()
    (folder.root / STATE).write_text("a state")
    return folder


@pytest.fixture
def other(folder: TofuFolder) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the lock on the state until its input ends."""
    argv = (sys.executable, "-c", HOLD, str(folder.root / STATE))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process


def test_a_free_folder_needs_no_wait(folder: TofuFolder) -> None:
    assert not folder.wait_until_free(NullReporter())


def test_an_opentofu_that_does_not_end_is_an_error_with_its_folder(
    folder: TofuFolder, other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tofu_folder, "END_SECONDS", 0)
    with pytest.raises(PlexError, match=f"waiting until OpenTofu in {folder.root} ends") as error:
        folder.wait_until_free(NullReporter())
    assert error.value.hint == "end that process, and run the command again"

    monkeypatch.setattr(tofu_folder, "END_SECONDS", 20)
    assert other.stdin
    other.stdin.close()
    folder.wait_until_free(NullReporter())
    assert not folder.wait_until_free(NullReporter())
