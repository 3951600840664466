from __future__ import annotations

import os
import tarfile
from pathlib import Path

from plexctl.depot.archive import Entry, write_image, write_tar
from plexctl.depot.images import make_image


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    def image(name: str, mtime: int, mode: int, *, reverse: bool) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        program = folder / "program"
        program.write_bytes(b"\x7fELF")
        program.chmod(mode)
        os.utime(program, (mtime, mtime))
        entries = [Entry("usr/bin/program", program), Entry("bin", link="usr/bin")]
        write_tar(folder / "layer", reversed(entries) if reverse else entries)
        write_image(folder / "tar", "r/a:1", "amd64", folder / "layer", {"User": "1:1"})
        return (folder / "tar").read_bytes()

    assert image("one", 1, 0o700, reverse=False) == image("two", 2, 0o755, reverse=True)


def test_an_entry_is_roots_without_a_time_below_its_folders(tmp_path: Path) -> None:
    write_tar(tmp_path / "tar", [Entry("a/b/c", b"text", mode=0o640)])
    with tarfile.open(tmp_path / "tar") as tar:
        shown = [(m.name, m.type, oct(m.mode), m.uid, m.gid, m.mtime) for m in tar]
    assert shown == [
        ("a", tarfile.DIRTYPE, "0o755", 0, 0, 0),
        ("a/b", tarfile.DIRTYPE, "0o755", 0, 0, 0),
        ("a/b/c", tarfile.REGTYPE, "0o640", 0, 0, 0),
    ]


def test_coredns_may_bind_its_port_without_being_root(tmp_path: Path) -> None:
    program = tmp_path / "coredns"
    program.write_bytes(b"\x7fELF")
    target = tmp_path / "coredns.tar"
    make_image("coredns", "r/coredns:1", "amd64", {"coredns": program}, target, tmp_path)
    with tarfile.open(target) as archive:
        blobs = [archive.extractfile(member) for member in archive if member.isfile()]
        layer = max(blobs, key=lambda blob: len(blob.read()) if blob else 0)
        assert layer is not None
        layer.seek(0)
        with tarfile.open(fileobj=layer) as tar:
            headers = tar.getmember("coredns").pax_headers
    # What `setcap cap_net_bind_service=+ep` writes.
    assert headers["SCHILY.xattr.security.capability"].encode() == (
        b"\x01\x00\x00\x02\x00\x04" + bytes(14)
    )
