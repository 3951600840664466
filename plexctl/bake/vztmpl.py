"""A baked image of containers as an archive that Proxmox VE creates containers of."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from plexctl.bake.builder import BakedImage
from plexctl.bake.claims import claim
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.proxmox.observed import archive_name
from plexctl.errors import PlexError
from plexctl.model.events import Reporter

ROOT = "rootfs/"
"""The folder of the files in an Incus image; the rest of the image is for Incus alone."""

QUICKLY = 1
"""Level of compression: the archive is sent once, and unpacked for each node."""


def copy_as_archive(
    source: IncusHost,
    target: ProxmoxHost,
    image: BakedImage,
    lab: str,
    reporter: Reporter,
    work: Path,
) -> BakedImage:
    """Copy an image of an Incus host to a Proxmox host, as a template of containers.

    It is repacked in the folder `work`, piece by piece. Its name contains the image's.
    """
    if found := find_archive(target, image.name, lab):
        return found
    name = archive_name(lab, image.name)
    work.mkdir(parents=True, exist_ok=True)
    file = work / name
    with reporter.step(f"copy {image.name} to host {target.name}") as step:
        try:
            step.progress("repack it")
            with source.images.exported(image.fingerprint) as content:
                checksum = repack(content, file)
            step.progress("upload it")
            volume = target.storage.upload_archive(file, checksum)
        finally:
            file.unlink(missing_ok=True)
    return BakedImage(image.name, volume, changed=True)


def find_archive(host: ProxmoxHost, image: str, lab: str) -> BakedImage | None:
    """The template of containers that was made of the image called `image`, if it is there.

    It has the mark of `lab` then.
    """
    for found in host.storage.archives():
        if image in found.names:
            claim(host, (found,), (image,), lab)
            return BakedImage(image, found.fingerprint, changed=False)
    return None


def repack(content: Iterator[bytes], file: Path) -> str:
    """Write the files of an Incus image (one tar) as .tar.gz; returns the SHA-256 of the .tar.gz.

    Owners, modes, links, devices and extended attributes stay. PlexError if there are no files.
    """
    seen = False
    with (
        file.open("wb") as raw,
        gzip.GzipFile(file.stem, "wb", QUICKLY, raw, mtime=0) as packed,
        tarfile.open(fileobj=_Pieces(content), mode="r|*") as image,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in image:
            if not _in_root(member):
                continue
            archive.addfile(member, image.extractfile(member) if member.isreg() else None)
            seen = True
    if not seen:
        raise PlexError("the image has no files below rootfs/, so no container can be made of it")
    with file.open("rb") as whole:
        return hashlib.file_digest(whole, "sha256").hexdigest()


def _in_root(member: tarfile.TarInfo) -> bool:
    """Whether a member is one of the files; its names are then as a container sees them."""
    if not member.name.startswith(ROOT):
        return False
    member.name = f"./{member.name.removeprefix(ROOT)}"
    if member.islnk():
        member.linkname = f"./{member.linkname.removeprefix(ROOT)}"
    # Names that are too long for the old format are written again, from the new name.
    kept = {key: v for key, v in member.pax_headers.items() if key not in ("path", "linkpath")}
    member.pax_headers = kept
    return True


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, got = [self._left], len(self._left)
        while size < 0 or got < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            got += len(piece)
        whole = b"".join(parts)
        end = len(whole) if size < 0 else size
        self._left = whole[end:]
        return whole[:end]
