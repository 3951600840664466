"""A file has the old content or the new, and the requested mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.files import write_atomic, write_new, write_private


@pytest.fixture(params=[0o000, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "public", b"1")
    write_atomic(tmp_path / "program", b"1", 0o755)
    (tmp_path / "secret").touch(0o666)
    write_private(tmp_path / "secret", b"1")
    assert [mode(tmp_path / name) for name in ("public", "program", "secret")] == [
        0o644,
        0o755,
        0o600,
    ]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"old")
    with (tmp_path / "file").open("rb") as reader:
        write_atomic(tmp_path / "file", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_crash_before_the_rename_leaves_only_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "file", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlexError, match=r"cannot write .*/file: No space left on device"):
        write_atomic(tmp_path / "file", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_write_new_never_replaces_a_file(tmp_path: Path) -> None:
    assert write_new(tmp_path / "file", b"first", 0o600)
    assert not write_new(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert mode(tmp_path / "file") == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlexError, match=r"cannot write .*/no/file: No such file or directory"):
        write_atomic(tmp_path / "no" / "file", b"")
