"""Below a folder no link is followed: not to read, to write, to list or to delete."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from plexctl.errors import PlexError, UsageError
from plexctl.model.folder import EntryKind, Folder, lab_file, make_folders, write_missing

Use = Callable[[Folder], object]

USES: dict[str, Use] = {
    "create": lambda folder: folder.create(),
    "exists": lambda folder: folder.exists(),
    "read": lambda folder: folder.read("file"),
    "write": lambda folder: folder.write("file", b"new"),
    "write_changed": lambda folder: folder.write_changed("file", b"new"),
    "write_new": lambda folder: folder.write_new("new", b"new"),
    "open_new": lambda folder: folder.open_new("new"),
    "checked": lambda folder: folder.checked("file"),
    "entries": lambda folder: folder.entries(),
    "delete": lambda folder: folder.delete("file"),
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user, with c/file and file in it."""
    folder = tmp_path / "outside"
    for file in (folder / "file", folder / "b" / "c" / "file", folder / "c" / "file"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("the user's")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("private", [False, True])
def test_a_link_is_refused_at_each_depth(
    tmp_path: Path, outside: Path, use: Use, depth: int, private: bool
) -> None:
    parts = ("a", "b", "c")
    folder, before = Folder(tmp_path / "lab", parts, private), content(outside)
    (tmp_path / "lab").joinpath(*parts[:depth]).mkdir(parents=True, mode=0o700)
    link = (tmp_path / "lab").joinpath(*parts[: depth + 1])
    link.symlink_to(outside)

    with pytest.raises(UsageError) as error:
        use(folder)

    assert str(error.value) == f"refusing to use {link}: it is a symbolic link to {outside}"
    assert error.value.hint == f"delete the link: `rm {link}`"
    assert content(outside) == before


@pytest.mark.parametrize("name", ["read", "write", "write_changed", "checked"])
def test_a_link_in_place_of_a_file_is_refused(tmp_path: Path, outside: Path, name: str) -> None:
    (tmp_path / "file").symlink_to(outside / "file")
    with pytest.raises(UsageError, match="is a symbolic link to"):
        USES[name](Folder(tmp_path))
    assert (outside / "file").read_text() == "the user's"


def test_nothing_is_created_behind_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "target")
    for name in ("new", "file"):
        with pytest.raises(UsageError, match="is a symbolic link to"):
            Folder(tmp_path).write("file", name.encode())
    with pytest.raises(UsageError):
        Folder(tmp_path).write_new("file", b"new")
    assert not (tmp_path / "target").exists()


def test_only_files_are_read_and_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UsageError, match=r"is not a file"):
            Folder(tmp_path).read(name)
        with pytest.raises(UsageError, match=r"is not a file"):
            Folder(tmp_path).write(name, b"")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file: it is not a folder"):
        Folder(tmp_path, ("file",)).read("x")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\0b"])
def test_a_name_is_that_of_one_entry(tmp_path: Path, name: str) -> None:
    uses: tuple[Callable[[], object], ...] = (
        lambda: Folder(tmp_path).write(name, b""),
        lambda: Folder(tmp_path).delete(name),
        lambda: Folder(tmp_path).read(name),
        lambda: Folder(tmp_path, (name,)).create(),
    )
    for use in uses:
        with pytest.raises(UsageError, match="cannot be the name of a file"):
            use()


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Folder(tmp_path, ("private", "inner"), private=True).write("file", b"", 0o600)
        Folder(tmp_path, ("shared", "inner")).write("file", b"", 0o644)
        make_folders(tmp_path / "made" / "inner", 0o755)
    finally:
        os.umask(before)
    assert [mode(tmp_path / "private"), mode(tmp_path / "private" / "inner")] == [0o700, 0o700]
    assert mode(tmp_path / "private" / "inner" / "file") == 0o600
    assert mode(tmp_path / "shared" / "inner" / "file") == 0o644
    for folder in ("shared", "shared/inner", "made", "made/inner"):
        assert not mode(tmp_path / folder) & 0o022


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
def test_a_private_folder_that_others_can_write_into_is_refused(
    tmp_path: Path, use: Use, bits: int
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True, mode=0o700)
    (tmp_path / "a").chmod(bits)
    with pytest.raises(UsageError, match=r"other users can write into it \(mode"):
        use(Folder(tmp_path, ("a", "b"), private=True))
    Folder(tmp_path, ("a", "b")).create()  # of a folder of the user nothing is required


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_private_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    os.chown(tmp_path / "a", 12345, 12345)
    with pytest.raises(UsageError, match=r"belongs to another user \(uid 12345\)"):
        Folder(tmp_path, ("a",), private=True).write("file", b"")
    assert list((tmp_path / "a").iterdir()) == []


def test_the_root_may_be_reached_through_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    Folder(tmp_path / "link", ("a",)).write("file", b"1")
    assert (tmp_path / "real" / "a" / "file").read_bytes() == b"1"


def test_a_missing_folder_reads_as_empty_and_is_not_created(tmp_path: Path) -> None:
    for folder in (Folder(tmp_path, ("no", "folder")), Folder(tmp_path / "no")):
        assert folder.read("file") is None
        assert folder.entries() == ()
        assert not folder.exists()
        folder.delete("file")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PlexError, match=r"cannot open .*/no: No such file or directory"):
        Folder(tmp_path / "no").write("file", b"")


def test_entries_have_kinds_and_only_files_are_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(tmp_path)
    assert folder.entries() == (
        ("file", EntryKind.FILE),
        ("folder", EntryKind.FOLDER),
        ("link", EntryKind.LINK),
        ("pipe", EntryKind.OTHER),
    )
    assert folder.files() == ("file",)
    assert folder.names() == ("file", "folder", "link", "pipe")


def test_a_link_is_deleted_and_not_its_target(tmp_path: Path, outside: Path) -> None:
    tree, before = tmp_path / "lab" / "tree", content(outside)
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "link").symlink_to(outside)
    (tmp_path / "lab" / "link").symlink_to(outside)
    for name in ("tree", "link"):
        Folder(tmp_path / "lab").delete(name)
    assert list((tmp_path / "lab").iterdir()) == []
    assert content(outside) == before


def test_write_changed_and_write_new_return_whether_they_wrote(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.write_changed("file", b"1", 0o600)
    assert not folder.write_changed("file", b"1")
    assert folder.write_changed("file", b"2", 0o640)
    assert not folder.write_new("file", b"3")
    assert folder.write_new("other", b"3")
    assert ((tmp_path / "file").read_bytes(), mode(tmp_path / "file")) == (b"2", 0o640)
    assert {file.name for file in tmp_path.iterdir()} == {"file", "other"}


def test_open_files_are_closed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for use in USES.values():
        use(Folder(tmp_path, ("a",), private=True))
        with pytest.raises(UsageError):
            use(Folder(tmp_path, ("a", "..")))
        with pytest.raises(UsageError):
            use(Folder(tmp_path, ("link",)))
        for file in (tmp_path / "a").glob("*"):
            file.unlink()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_of_the_user_may_be_a_link_that_stays_in_the_lab(
    tmp_path: Path, outside: Path
) -> None:
    lab = tmp_path / "lab"
    (lab / "shared").mkdir(parents=True)
    (lab / "shared" / "plex.yaml").write_text("workers: 1")
    (lab / "inner.yaml").symlink_to("shared/plex.yaml")
    folder, name = lab_file(lab, lab / "inner.yaml")
    assert (folder.path / name) == lab / "shared" / "plex.yaml"

    (lab / "outer").symlink_to(outside)
    (lab / "loop").symlink_to("loop")
    for file in ("outer/file", "outer", "outer/new", "../outside/file", ".."):
        with pytest.raises(UsageError, match="leads out of the lab, to"):
            lab_file(lab, lab / file)
    folder, name = lab_file(lab, lab / "loop")
    with pytest.raises(UsageError, match="symbolic link"):
        folder.write(name, b"")


def test_a_first_file_replaces_nothing(tmp_path: Path, outside: Path) -> None:
    lab = tmp_path / "lab"
    assert write_missing(lab, lab / "clusters" / "x.yaml", b"1")
    assert not write_missing(lab, lab / "clusters" / "x.yaml", b"2")
    (lab / "link").symlink_to(outside / "new")
    assert not write_missing(lab, lab / "link", b"3")
    (lab / "folder").symlink_to(outside)
    with pytest.raises(UsageError, match="leads out of the lab"):
        write_missing(lab, lab / "folder" / "new", b"3")
    assert (lab / "clusters" / "x.yaml").read_bytes() == b"1"
    assert not (outside / "new").exists()
