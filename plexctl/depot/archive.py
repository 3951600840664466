"""Reproducible tar files: the same content gives the same bytes. Image layers, OCI archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plexctl.config.bounded import check_json
from plexctl.depot.blobs import sha256_of
from plexctl.errors import PlexError

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
DOCUMENT_LIMIT = 4 << 20
"""Bytes of the largest manifest that is read."""

BROKEN_ARCHIVE = (gzip.BadGzipFile, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)
"""What `tarfile` raises while it reads an archive that is damaged, or cut short."""

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file (bytes or a path), symbolic link or folder of a tar file; owned by root."""

    path: str  # relative
    content: bytes | Path | None = None
    link: str | None = None
    mode: int = 0o755
    xattrs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Blob:
    """One object of an OCI image."""

    media_type: str
    digest: str  # hex
    size: int
    content: bytes | Path

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}


def blob(media_type: str, content: bytes | Path) -> Blob:
    if isinstance(content, Path):
        return Blob(media_type, sha256_of(content), content.stat().st_size, content)
    return Blob(media_type, hashlib.sha256(content).hexdigest(), len(content), content)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write_tar(target: Path, entries: Iterable[Entry]) -> None:
    """Write entries sorted by path, with the folders above them, without times and owners."""
    by_path = {entry.path: entry for entry in entries}
    folders = {str(folder) for path in by_path for folder in PurePosixPath(path).parents}
    for folder in folders - by_path.keys() - {"."}:
        by_path[folder] = Entry(folder)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(by_path):
            _add(tar, by_path[path])


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in entry.xattrs}
    if entry.link is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
        tar.addfile(info)
    elif isinstance(entry.content, bytes):
        info.size = len(entry.content)
        tar.addfile(info, io.BytesIO(entry.content))
    elif entry.content is not None:
        info.size = entry.content.stat().st_size
        with entry.content.open("rb") as file:
            tar.addfile(info, file)
    else:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)


def write_oci(
    target: Path, reference: str, architecture: str, manifest: Blob, blobs: Sequence[Blob]
) -> None:
    """Write an OCI archive that `ctr images import` stores under `reference`."""
    annotations = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    descriptor = manifest.descriptor() | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": annotations,
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [descriptor]}
    entries = [
        Entry("oci-layout", canonical({"imageLayoutVersion": "1.0.0"}), mode=0o644),
        Entry("index.json", canonical(index), mode=0o644),
    ]
    entries += [
        Entry(f"blobs/sha256/{one.digest}", one.content, mode=0o644) for one in (manifest, *blobs)
    ]
    write_tar(target, entries)


def write_image(
    target: Path,
    reference: str,
    architecture: str,
    layer: Path,
    settings: dict[str, object],
) -> None:
    """Write an image of one layer. `settings` are its config: Entrypoint, User, Env, …"""
    layer_blob = blob(LAYER_TYPE, layer)
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": EPOCH,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_blob.digest}"]},
        "history": [{"created": EPOCH, "created_by": "plexctl"}],
    }
    config_blob = blob(CONFIG_TYPE, canonical(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config_blob.descriptor(),
        "layers": [layer_blob.descriptor()],
    }
    manifest_blob = blob(MANIFEST_TYPE, canonical(manifest))
    write_oci(target, reference, architecture, manifest_blob, [config_blob, layer_blob])


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def image_digest(archive: Path, name: str) -> str:
    """The digest of the only image in an OCI archive, in hex. `name` is that of errors.

    It covers every byte of the image: PlexError unless all blobs have the digests that they are
    named by, and are what the manifest lists.
    """
    try:
        with tarfile.open(archive) as tar:
            return _image_digest(tar)
    except (*BROKEN_ARCHIVE, OSError, ValueError, KeyError, TypeError) as error:
        raise PlexError(f"{name} is not an OCI archive of one image: {error}") from error


def _image_digest(tar: tarfile.TarFile) -> str:
    documents: dict[str, tarfile.TarInfo] = {}
    digests = set()
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        if content is None:
            continue
        folder, _, name = member.name.removeprefix("./").rpartition("/")
        if folder == "blobs/sha256":
            if _digest(content) != name:
                raise ValueError(f"{member.name} has another digest than its name")
            digests.add(name)
        documents[member.name.removeprefix("./")] = member
    (image,) = _document(tar, documents["index.json"])["manifests"]
    digest = str(image["digest"]).removeprefix("sha256:")
    manifest = _document(tar, documents[f"blobs/sha256/{digest}"])
    parts = (manifest["config"], *manifest["layers"])
    if missing := {str(one["digest"]).removeprefix("sha256:") for one in parts} - digests:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return digest


def _document(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    content = tar.extractfile(member)
    if content is None or member.size > DOCUMENT_LIMIT:
        raise ValueError(f"{member.name} is too large")
    found = check_json(content.read(), DOCUMENT_LIMIT)
    if not isinstance(found, dict):
        raise TypeError(f"{member.name} is not a JSON object")
    return found
