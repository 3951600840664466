"""Disks of nodes as tars: files are copied as they are, and harmful ones are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest
import yaml

from plexctl.clients.incus import disk_tar

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\xff\xfe\n\x00".decode("utf-8", "surrogateescape")


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mtime = kind, 1_700_000_000
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def packed(*members: tarfile.TarInfo, content: bytes = b"content") -> bytes:
    """A tar; each regular file has the same content."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in members:
            if one.isreg():
                one.size = len(content)
            tar.addfile(one, io.BytesIO(content) if one.isreg() else None)
    return target.getvalue()


def written(tar: bytes) -> tarfile.TarFile:
    """The image that plexctl writes from a tar."""
    pieces = disk_tar.image_tar(io.BytesIO(tar), "x86_64", 1, {"plexctl.copy": "run"})
    return tarfile.open(fileobj=io.BytesIO(b"".join(pieces)))


DISK = (
    member("metadata.yaml"),
    member("templates", tarfile.DIRTYPE),
    member("templates/hosts.tpl"),
    member("rootfs", tarfile.DIRTYPE, mode=0o755),
    member("rootfs/etc", tarfile.DIRTYPE, mode=0o1777, uid=7, gid=8),
    member("rootfs/etc/passwd", mode=0o640, uid=65534, gid=1 << 31),
    member("rootfs/etc/mtab", tarfile.SYMTYPE, linkname="../../proc/self/mounts"),
    member("rootfs/etc/shadow", tarfile.LNKTYPE, linkname="rootfs/etc/passwd"),
    member("rootfs/etc/gone", tarfile.CHRTYPE, devmajor=0, devminor=0),
    member("rootfs/etc/pipe", tarfile.FIFOTYPE),
    member("rootfs/" + "a" * 200 + "/" + "b" * 200),
    member(
        "rootfs/sbin", mode=0o4755, pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}
    ),
    member("rootfs/caf\udce9"),
)


def test_files_keep_their_content_owners_modes_times_and_attributes() -> None:
    found = {one.name: one for one in written(packed(*DISK)).getmembers()}
    assert set(found) == {"metadata.yaml", *(one.name for one in DISK[3:])}
    for one in DISK[3:]:
        other = found[one.name]
        for field in ("type", "mode", "uid", "gid", "mtime", "linkname", "size", "devmajor"):
            assert getattr(other, field) == getattr(one, field), (one.name, field)
    assert found["rootfs/sbin"].pax_headers["SCHILY.xattr.security.capability"] == CAPABILITY
    content = written(packed(*DISK)).extractfile("rootfs/etc/passwd")
    assert content
    assert content.read() == b"content"


def test_metadata_and_templates_are_never_those_of_the_file() -> None:
    """Incus evaluates templates as root of the host."""
    image = written(packed(*DISK))
    assert not [name for name in image.getnames() if name.startswith("templates")]
    content = image.extractfile("metadata.yaml")
    assert content
    assert yaml.safe_load(content) == {
        "architecture": "x86_64",
        "creation_date": 1,
        "properties": {"plexctl.copy": "run"},
    }


def test_a_large_file_is_written_in_pieces() -> None:
    tar = packed(member("rootfs/large"), content=bytes(5 << 20))
    pieces = list(disk_tar.image_tar(io.BytesIO(tar), "x86_64", 1, {}))
    assert max(map(len, pieces)) == 1 << 20


def test_unknown_attributes_are_left_out() -> None:
    odd = member("rootfs/x", pax_headers={"comment": "x", "GNU.x": "y"})
    (_, found) = written(packed(odd)).getmembers()
    assert (found.name, found.pax_headers) == ("rootfs/x", {})


LINK = member("rootfs/link", tarfile.SYMTYPE, linkname="/etc")
HOSTILE: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "is no path below rootfs/": (member("/etc/passwd"),),
    "'../x' is no path": (member("../x"),),
    "'rootfs/../../x' is no path": (member("rootfs/../../x"),),
    "'rootfs/./x' is no path": (member("rootfs/./x"),),
    "'backup/index.yaml' is no path": (member("backup/index.yaml"),),
    "'rootfs.img' is no path": (member("rootfs.img"),),
    "leads through a link": (LINK, member("rootfs/link/passwd")),
    "replaces a link": (LINK, member("rootfs/link")),
    "'rootfs/link/passwd' leads through a link": (
        LINK,
        member("rootfs/y", tarfile.LNKTYPE, linkname="rootfs/link/passwd"),
    ),
    "'rootfs/hard/passwd' leads through a link": (
        LINK,
        member("rootfs/hard", tarfile.LNKTYPE, linkname="rootfs/link"),
        member("rootfs/hard/passwd"),
    ),
    "'/etc/shadow' is no path": (member("rootfs/z", tarfile.LNKTYPE, linkname="/etc/shadow"),),
    "'rootfs/../z' is no path": (member("rootfs/z", tarfile.LNKTYPE, linkname="rootfs/../z"),),
    "is a link to nothing": (member("rootfs/z", tarfile.SYMTYPE, linkname=""),),
    "is the device 1:1": (member("rootfs/mem", tarfile.CHRTYPE, devmajor=1, devminor=1),),
    "is of a kind that no node has": (
        member("rootfs/sda", tarfile.BLKTYPE, devmajor=8, devminor=0),
    ),
    "'rootfs/cont' is of a kind": (member("rootfs/cont", tarfile.CONTTYPE),),
    "it has no files": (),
    "rootfs/a" + "b" * 60: (member("rootfs/a" + "b" * 5000),),
}


@pytest.mark.parametrize("said", HOSTILE)
def test_a_file_that_could_do_harm_on_a_host_is_refused(said: str) -> None:
    tar = packed(*HOSTILE[said])
    with pytest.raises(ValueError) as refused:
        disk_tar.check(io.BytesIO(tar))
    assert said in str(refused.value)
    with pytest.raises(ValueError, match=r"\w"):
        written(tar)


def _cut(tar: bytes) -> bytes:
    return tar[: tar.rindex(b"content") + 3]


def _flip(tar: bytes) -> bytes:
    place = tar.index(b"rootfs/b")
    return tar[:place] + b"x" + tar[place + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flip, lambda _: b"no tar at all" * 100])
def test_a_damaged_tar_is_refused(damage: Callable[[bytes], bytes]) -> None:
    whole = packed(member("rootfs/a"), member("rootfs/b"))
    disk_tar.check(io.BytesIO(whole))
    with pytest.raises(ValueError, match=r"damaged|unexpected end|cut short"):
        disk_tar.check(io.BytesIO(damage(whole)))


def test_a_huge_header_is_refused_before_it_is_read() -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with pytest.raises(ValueError, match="header is too large"):
        disk_tar.check(io.BytesIO(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)))


def test_sparse_files_are_refused() -> None:
    """Their size in the tar says nothing about their size on the disk."""
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(1 << 50),
    }
    sparse = member("rootfs/sparse", pax_headers=headers)
    with pytest.raises(ValueError, match="of a kind that no node has"):
        disk_tar.check(io.BytesIO(packed(sparse, content=b"1\n0\n7\n" + bytes(600))))
