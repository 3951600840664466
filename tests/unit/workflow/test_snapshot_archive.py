"""The file of an exported snapshot: written whole or not at all; refused if anything is wrong."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from plexctl.errors import ExitCode, PlexError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.disks import DiskCopy
from plexctl.model.secret import Secret
from plexctl.workflow.snapshots.archive import new_archive, opened
from plexctl.workflow.snapshots.manifest import Manifest, SavedNode

SEED = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))
DISKS = {"demo1": b"disk of the master" * 100, "demo2": b"disk of a worker"}


def manifest(**fields: Any) -> Manifest:
    nodes = tuple(
        SavedNode(name, "plex-kube-0123456789ab", "ab" * 32, len(disk), sha256(disk).hexdigest())
        for name, disk in DISKS.items()
    )
    time = "2026-11-30T09:00:00+00:00"
    found = Manifest("demo", "before", time, SEED.lab_id, "1.36.3", "x86_64", nodes)
    return replace(found, **fields)


def write(path: Path, *, overwrite: bool = False, cut: int = 0) -> None:
    with new_archive(path, replace=overwrite) as archive:
        for name, disk in DISKS.items():
            copy = DiskCopy(len(disk), iter((disk[:7], disk[7 : len(disk) - cut])))
            assert archive.add_disk(name, copy, lambda _: None) == sha256(disk).hexdigest()
        archive.end(manifest(), SEED)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "demo.tar")
    return tmp_path / "demo.tar"


def read(file: Path, check: Callable[[Any], None] = lambda _: None) -> Manifest:
    """Open and verify a file, and read its disks once more."""
    with opened(file, SEED) as archive:
        archive.verify(check)
        for disk in archive.disks:
            assert archive.disk(disk).read() == DISKS[disk.node.name]
        return archive.manifest


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    assert read(file) == manifest()


def test_only_its_owner_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "demo.tar")
    finally:
        os.umask(before)
    assert (tmp_path / "demo.tar").stat().st_mode & 0o777 == 0o600


def test_any_tar_can_list_it_and_its_manifest_is_the_last(file: Path) -> None:
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["nodes/demo1.tar", "nodes/demo2.tar", "manifest.json"]


def test_an_existing_file_is_replaced_only_on_request(file: Path) -> None:
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write(file)
    assert file.read_text() == "mine"
    write(file, overwrite=True)
    assert read(file) == manifest()


def test_links_and_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(UsageError, match="no regular file"):
            write(path, overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_does_not_exist_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        write(tmp_path / "none" / "demo.tar")


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_disk_that_is_cut_off_leaves_no_file(
    tmp_path: Path, unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on file systems that have no files without a name."""
    if not unnamed:
        real = os.open

        def without(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(95, "Operation not supported")
            return real(path, flags, *rest, **named)

        monkeypatch.setattr(os, "open", without)
    write(tmp_path / "whole.tar")
    with pytest.raises(PlexError, match="the disk of demo1 was cut off"):
        write(tmp_path / "demo.tar", cut=1)
    assert [one.name for one in tmp_path.iterdir()] == ["whole.tar"]


def edited(content: bytes, change: Callable[[dict[str, Any]], None], *, sign: bool) -> bytes:
    """The file with another manifest."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            extracted = tar.extractfile(member)
            assert extracted
            found[member.name] = extracted.read()
    values = json.loads(found["manifest.json"])
    change(values)
    if sign:
        from plexctl.workflow.snapshots.manifest import _mac

        values["mac"] = _mac({k: v for k, v in values.items() if k != "mac"}, SEED)
    found["manifest.json"] = json.dumps(values).encode()
    return tar_of(found.items())


def tar_of(members: Any) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def _change(name: str, value: object, *, sign: bool = True) -> Callable[[bytes], bytes]:
    return lambda content: edited(content, lambda found: found.update({name: value}), sign=sign)


def _with(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[bytes], bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return lambda content: info.tobuf() + content


def _node(field: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: edited(
        content, lambda found: found["nodes"][0].update({field: value}), sign=True
    )


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "manifest.json: lab: it is of the lab 00000000": _change("lab", "0" * 32),
    "mac: the manifest was changed": _change("kubernetes", "1.35.4", sign=False),
    "mac: the manifest": lambda content: edited(content, lambda f: f.pop("mac"), sign=False),
    "version: this plexctl reads version 1, not 2": _change("version", 2),
    "format: must be": _change("format", "tar"),
    "created: must be a date": _change("created", "2026-99-99T"),
    "snapshot: is missing or cannot be": _change("snapshot", "../x"),
    "plex: is missing or cannot be": _change("plex", "demo\n"),
    "nodes: must be a list": _change("nodes", []),
    "nodes[0]: must be a node": _change("nodes", [1]),
    "nodes[0].size: must be": _node("size", -1),
    "nodes[0].name: is missing": _node("name", "../demo1"),
    "nodes/demo0.tar is only in": _node("name", "demo0"),
    "nodes/demo1.tar has another size": _node("size", 5),
    "nodes/demo1.tar: its checksum is not": _node("sha256", "00" * 32),
    "is cut short": lambda content: content[:1500],
    "it has no manifest.json": lambda content: content[: content.index(b"manifest.json")],
    "nodes/demo1.tar: its checksum": lambda content: content.replace(
        b"disk of the", b"disk of THE", 1
    ),
    "'../x' does not belong": _with("../x"),
    "'/etc/cron.d/x' does not belong": _with("/etc/cron.d/x"),
    "'nodes/a/b.tar' does not belong": _with("nodes/a/b.tar"),
    "'nodes/demo1.tar' does not belong": _with("nodes/demo1.tar"),
    "'nodes/x.tar' is no regular file": _with("nodes/x.tar", tarfile.SYMTYPE),
    "'manifest.json' is no regular file": _with("manifest.json", tarfile.LNKTYPE),
    "'nodes/d.tar' is no regular file": _with("nodes/d.tar", tarfile.CHRTYPE),
    "it is no tar, or damaged": lambda _: b"something else" * 100,
    "damaged: empty file": lambda _: b"",
    "it is cut short, or no snapshot": lambda _: bytes(10240),
    "after its end": lambda content: content + b"x",
}


@pytest.mark.parametrize("said", WRONG)
def test_a_file_that_is_wrong_is_refused_with_one_message(said: str, file: Path) -> None:
    file.write_bytes(WRONG[said](file.read_bytes()))
    with pytest.raises(UsageError) as refused:
        read(file)
    assert said in refused.value.summary
    assert refused.value.summary.startswith(f"{file}: ")
    assert refused.value.exit_code == ExitCode.USAGE


def test_a_disk_that_could_do_harm_is_refused_with_its_name(file: Path) -> None:
    def check(_: object) -> None:
        raise ValueError("'rootfs/x' leads through a link")

    with pytest.raises(UsageError, match=r"nodes/demo1.tar: 'rootfs/x' leads through a link"):
        read(file, check)


def test_a_file_that_changes_after_it_was_verified_is_refused(file: Path) -> None:
    with opened(file, SEED) as archive:
        archive.verify(lambda _: None)
        file.write_bytes(file.read_bytes().replace(b"a worker", b"A worker"))
        disk = archive.disk(archive.disks[1])
        with pytest.raises(ValueError, match="was changed since it was verified"):
            disk.read()


def test_what_a_reader_skips_has_a_checksum_too(file: Path) -> None:
    with opened(file, SEED) as archive:
        disk = archive.disk(archive.disks[0])
        disk.seek(1700)
        assert disk.read(10) == DISKS["demo1"][1700:1710]
        disk.seek(1709)
        assert disk.read() == DISKS["demo1"][1709:]
        file.write_bytes(file.read_bytes().replace(b"disk of the", b"disk of THE", 1))
        again = archive.disk(archive.disks[0])
        again.seek(1700)
        with pytest.raises(ValueError, match="was changed"):
            again.read()


@pytest.mark.parametrize("what", ["fifo", "folder", "missing"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(UsageError, match=r"no regular file|cannot be read"):
        read(path)


def test_the_manifest_shows_nothing_of_the_seed(file: Path) -> None:
    assert SEED.value.reveal() not in file.read_bytes()
    assert SEED.derive("snapshot", "export") not in file.read_bytes()
