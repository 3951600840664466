"""A file has the old content or the new, and the requested mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.errors import PlexError, UsageError
from plexctl.model.files import rewrite, write_atomic, write_new, write_private


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_rewritten_file_keeps_its_owner_group_and_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o2640)
    os.chown(file, 1000, 1001)
    link.symlink_to("file")

    rewrite(link, b"new", 0o600)

    found = file.stat()
    assert (found.st_uid, found.st_gid, mode(file)) == (1000, 1001, 0o2640)
    assert file.read_text() == "new"
    assert link.is_symlink()


def test_a_read_only_file_is_not_rewritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(UsageError, match=r"refusing to write .*: it is read-only \(mode 0444\)"):
        rewrite(tmp_path / "file", b"new", 0o600)
    assert (tmp_path / "file").read_text() == "old"


def test_an_owner_that_cannot_stay_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's file in a folder of ours."""
    (tmp_path / "file").write_text("old")
    found = os.stat_result((0o100644, 0, 0, 1, os.geteuid() + 1, os.getegid(), 3, 0, 0, 0))

    def refused(file: int, user: int, group: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "lstat", lambda *_, **__: found)
    with pytest.raises(PlexError, match=r"cannot write .*/file: Operation not permitted"):
        rewrite(tmp_path / "file", b"new", 0o600)
    monkeypatch.undo()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]
