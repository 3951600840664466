"""An Incus image repacked for Proxmox VE."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.bake.vztmpl import repack
from plexctl.errors import PlexError

LONG = "usr/share/" + "a-long-name/" * 20 + "file"


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type = kind
    for key, value in fields.items():
        setattr(found, key, value)
    return found


def image(*members: tuple[tarfile.TarInfo, bytes]) -> Iterator[bytes]:
    """Its bytes in pieces that fit nothing."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one, content in members:
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content) if content else None)
    data = whole.getvalue()
    return (data[at : at + 777] for at in range(0, len(data), 777))


def test_an_archive_has_the_files_unchanged_and_nothing_else(tmp_path: Path) -> None:
    capable = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00 \x00\x00"}
    content = image(
        (member("metadata.yaml"), b"architecture: x86_64\n"),
        (member("templates/hostname.tpl"), b"x"),
        (member("rootfs/", tarfile.DIRTYPE, mode=0o755), b""),
        (member("rootfs/bin/ping", mode=0o4755, uid=7, gid=8, pax_headers=capable), b"#!" * 999),
        (member("rootfs/bin/twin", tarfile.LNKTYPE, linkname="rootfs/bin/ping"), b""),
        (member("rootfs/lib", tarfile.SYMTYPE, linkname="rootfs/usr/lib"), b""),
        (member("rootfs/dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (member(f"rootfs/{LONG}"), b"far down"),
    )
    file = tmp_path / "plexctl-lab1-plex-kube.tar.gz"
    checksum = repack(content, file)

    with tarfile.open(file) as archive:
        found = {one.name: one for one in archive}
        far = archive.extractfile(f"./{LONG}")
        assert far is not None
        assert far.read() == b"far down"
    assert set(found) - {".", "./"} == {
        "./bin/ping", "./bin/twin", "./lib", "./dev/null", f"./{LONG}",
    }  # fmt: skip
    ping = found["./bin/ping"]
    assert (ping.mode, ping.uid, ping.gid, ping.size) == (0o4755, 7, 8, 1998)
    assert ping.pax_headers == capable
    assert found["./bin/twin"].linkname == "./bin/ping"
    assert found["./lib"].linkname == "rootfs/usr/lib"
    assert (found["./dev/null"].devmajor, found["./dev/null"].devminor) == (1, 3)
    assert checksum == hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_image_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlexError, match="no files below rootfs"):
        repack(image((member("metadata.yaml"), b"x")), tmp_path / "x.tar.gz")
