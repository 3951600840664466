"""The file of a backup: a compressed tar with two members, signed, and encrypted with age.

    age( signature, 32 bytes | gzip( tar( manifest.json, etcd.snapshot ) ) )

Masters write the same format (`pins/backup`). Whatever is read here may come from anybody.
"""

from __future__ import annotations

import gzip
import hmac
import io
import os
import stat
import tarfile
import zlib
from itertools import islice
from pathlib import Path

from plexctl.bootstrap.etcd import is_snapshot
from plexctl.errors import PlexError, UsageError
from plexctl.keys.backups import SIGNATURE, seal, signature, signing_key, unseal
from plexctl.keys.seed import RootSeed
from plexctl.model.backup import MOST, Backup, read_manifest, write_manifest

MANIFEST, SNAPSHOT = "manifest.json", "etcd.snapshot"
MOST_MANIFEST = 1 << 16
GZIP = zlib.MAX_WBITS | 16
FAST = 1
"""Level of compression: a database shrinks to a fifth with it, and little more with the others."""


def pack(seed: RootSeed, backup: Backup) -> bytes:
    """The content of the file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (
            (MANIFEST, write_manifest(backup.manifest)),
            (SNAPSHOT, backup.content),
        ):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o600, len(content)
            tar.addfile(member, io.BytesIO(content))
    body = gzip.compress(buffer.getbuffer(), FAST)
    return seal(seed, signature(signing_key(seed, backup.manifest.plex), body) + body)


def unpack(seed: RootSeed, sealed: bytes) -> Backup:
    """ValueError with a reason if it is no whole backup that a plex of this lab has written."""
    opened = unseal(seed, sealed)
    signed, body = opened[:SIGNATURE], opened[SIGNATURE:]
    backup = _members(_expanded(body))
    own = signature(signing_key(seed, backup.manifest.plex), body)
    if not hmac.compare_digest(signed, own):
        raise ValueError(f"no master of {backup.manifest.plex} has signed it")
    return backup


def read(seed: RootSeed, path: Path) -> Backup:
    """The backup in a file. UsageError if it is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _refused(path, "it is not a file")
            sealed = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(f"cannot read the backup {path}: {error.strerror}") from error
    if len(sealed) > MOST:
        raise _refused(path, f"it is larger than {MOST >> 20} MiB")
    try:
        return unpack(seed, sealed)
    except ValueError as error:
        raise _refused(path, str(error)) from error


def require_size(content: bytes, plex: str) -> None:
    """PlexError if a snapshot is too large for a backup."""
    if len(content) > MOST:
        raise PlexError(
            f"etcd of {plex} has {len(content) >> 20} MiB; a backup has at most {MOST >> 20} MiB",
            hint="delete what fills it; `etcdctl defrag` on the master returns the space",
        )


def _refused(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} is not a backup that can be restored here: {reason}",
        hint="`plexctl backup FILE` writes one; nothing was changed",
    )


def _expanded(body: bytes) -> bytes:
    """The tar. ValueError if it would be too large."""
    expander = zlib.decompressobj(GZIP)
    limit = MOST + MOST_MANIFEST + (1 << 16)
    try:
        tar = expander.decompress(body, limit)
    except zlib.error as error:
        raise ValueError(f"it is damaged ({error})") from error
    if not expander.eof:
        raise ValueError("its content is too large, or only a part of a backup")
    return tar


def _members(content: bytes) -> Backup:
    """Two files of these names, in this order, and nothing else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            # A sparse member may expand without end.
            plain = ((one, one.isreg() and not one.issparse()) for one in islice(tar, 3))
            members = [(one, tar.extractfile(one) if is_plain else None) for one, is_plain in plain]
            found = [(one.name, file and file.read()) for one, file in members]
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    match found:
        case [(str(first), bytes() as manifest), (str(second), bytes() as snapshot)] if (
            first,
            second,
        ) == (MANIFEST, SNAPSHOT) and len(manifest) <= MOST_MANIFEST:
            if not is_snapshot(snapshot):
                raise ValueError("its snapshot of etcd is damaged")
            return Backup(read_manifest(manifest), snapshot)
    raise ValueError("it has other members than a backup")
