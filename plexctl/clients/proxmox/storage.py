"""Storages of a Proxmox node: disk images, seeds, and archives to create containers of."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from plexctl.clients.proxmox import observed
from plexctl.clients.proxmox.connection import ProxmoxConnection
from plexctl.clients.proxmox.refusals import GoneError
from plexctl.model.observed import IMAGE_LAB, IMAGE_USER, ObservedImage

QUICK, COPY, MOVE = 120.0, 600.0, 1800.0
"""Seconds that tasks may take: one that moves no data, an upload, and a download or an import."""

EMPTY = gzip.compress(bytes(1024), mtime=0)
"""An archive without files."""


class ProxmoxStorage:
    """Storages. Files go onto the one that `iso` in hosts.yaml names."""

    def __init__(self, connection: ProxmoxConnection) -> None:
        self._connection = connection

    @property
    def _files(self) -> str:
        return self._connection.settings.iso

    def free(self) -> int:
        """Free bytes of the storage for disks."""
        pool = self._connection.spec.pool
        place = (*self._connection.node, "storage", pool, "status")
        return int(self._connection.call(f"read storage {pool}", "get", *place)["avail"])

    def volumes(self) -> tuple[str, ...]:
        """Names of all volumes of the storage for files."""
        place = (*self._connection.node, "storage", self._files, "content")
        found = self._connection.call(f"read storage {self._files}", "get", *place)
        return tuple(str(one["volid"]) for one in found)

    def archives(self) -> tuple[ObservedImage, ...]:
        """plexctl's templates of containers. Only a host with `ssh` can have containers."""
        if self._connection.spec.ssh is None:
            return ()
        place = (*self._connection.node, "storage", self._files, "content")
        what = f"read storage {self._files}"
        found = self._connection.call(what, "get", *place, content="vztmpl")
        return observed.archives({str(one["volid"]): int(one["size"]) for one in found})

    def set_archive_users(self, volume: str, users: Mapping[str, bool]) -> None:
        """Mark a template of containers as used by labs or not, by their identifiers.

        A template that is gone is no error.
        """
        there = next((one for one in self.archives() if one.fingerprint == volume), None)
        if there is None:
            return
        baker, image = observed.archive_parts(volume)
        if IMAGE_LAB in there.properties:
            # So far only the template's name says which lab uses it. Once a lab has such a file,
            # the name does not count any more.
            users = {baker: True, **users}
        for lab, uses in users.items():
            name = observed.use_name(lab, image)
            if uses:
                checksum = hashlib.sha256(EMPTY).hexdigest()
                self._upload((name, EMPTY), name, "vztmpl", checksum, deadline=QUICK)
            else:
                self.delete(f"{self._files}:vztmpl/{name}")

    def delete_archive(self, volume: str) -> None:
        """Delete a template of containers, and before it the marks of the labs that used it."""
        there = next((one for one in self.archives() if one.fingerprint == volume), None)
        _, image = observed.archive_parts(volume)
        for key in there.properties if there else ():
            if key.startswith(IMAGE_USER):
                name = observed.use_name(key.removeprefix(IMAGE_USER), image)
                self.delete(f"{self._files}:vztmpl/{name}")
        self.delete(volume)

    def upload_iso(self, file: str, content: bytes) -> str:
        """Upload a disk image; returns its volume. Replaces one of that name."""
        return self._upload(
            (file, content), file, "iso", hashlib.sha256(content).hexdigest(), deadline=COPY
        )

    def upload_archive(self, file: Path, checksum: str) -> str:
        """Upload a template of containers under the name of `file`; returns its volume.

        `checksum` is the SHA-256 of the file, in hex. Replaces one of that name.
        """
        return self._upload(file, file.name, "vztmpl", checksum, deadline=MOVE)

    def _upload(
        self, content: object, name: str, kind: str, checksum: str, *, deadline: float
    ) -> str:
        self._connection.task(
            f"upload {name} to storage {self._files}",
            "post",
            *self._connection.node,
            "storage",
            self._files,
            "upload",
            content=kind,
            filename=content,
            checksum=checksum,
            **{"checksum-algorithm": "sha256"},
            deadline=deadline,
        )
        return f"{self._files}:{kind}/{name}"

    def download(self, file: str, url: str, algorithm: str, checksum: str) -> str:
        """Let the node download a disk image and verify it; returns its volume."""
        self._connection.task(
            f"download {url}",
            "post",
            *self._connection.node,
            "storage",
            self._files,
            "download-url",
            content="import",
            filename=file,
            url=url,
            checksum=checksum,
            **{"checksum-algorithm": algorithm},
            deadline=MOVE,
        )
        return f"{self._files}:import/{file}"

    def delete(self, volume: str) -> None:
        """Delete a volume. One that does not exist is no error."""
        storage = volume.partition(":")[0]
        place = (*self._connection.node, "storage", storage, "content", volume)
        with suppress(GoneError):
            self._connection.task(f"delete {volume}", "delete", *place, deadline=QUICK)
