"""Folders of containers that outlive them: volumes of their host, attached while they run."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pylxd.exceptions import NotFound

from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import IncusInstances
from plexctl.model.settings import Settings

FREE = ("mount", "--make-slave", "/dev/.incus-mounts")
"""The server mounts a volume in this folder of a running container, and moves it to its path.
Linux moves nothing out of a mount that is shared, and systemd shares all of them."""

EXPORT = "plexctl"
"""The name of an export, which lives for one call."""

PLACE = "backup/volume/"
"""The folder of a volume's files in its export."""


class IncusFolders:
    """Volumes as folders (see `model.folders.Folders`)."""

    def __init__(self, connection: IncusConnection, instances: IncusInstances) -> None:
        self._connection = connection
        self._instances = instances

    def attach(self, instance: str, volume: str, path: str, tags: Settings) -> None:
        pool = self._connection.spec.pool
        with self._connection.failing_as(f"volume {volume} cannot be attached to {instance}"):
            volumes = self._connection.api["storage-pools"][pool].volumes.custom
            try:
                volumes[volume].get()
            except NotFound:
                created = volumes.post(json={"name": volume, "config": dict(tags)})
                self._connection.finish(created, 60)
            device = {"type": "disk", "pool": pool, "source": volume, "path": path}
            node = self._connection.api.instances[instance]
            if node.get().json()["metadata"]["devices"].get(volume) != device:
                self._instances.execute(instance, FREE)
                self._connection.finish(node.patch(json={"devices": {volume: device}}), 60)

    def read(self, volume: str) -> Mapping[str, bytes]:
        """The server exports the volume, since nothing else reads one that no instance has."""
        pool = self._connection.spec.pool
        found: dict[str, bytes] = {}
        with self._connection.failing_as(f"volume {volume} cannot be read", gone_is_fine=True):
            exports = self._connection.api["storage-pools"][pool].volumes.custom[volume].backups
            self._delete(exports)  # a killed run has left it
            request = {
                "name": EXPORT,
                "volume_only": True,
                "optimized_storage": False,
                "compression_algorithm": "none",
            }
            self._connection.finish(exports.post(json=request), 600)
            try:
                found = _files(exports[EXPORT].export.get().content)
            finally:
                self._delete(exports)
        return found

    def _delete(self, exports: Any) -> None:
        with suppress(NotFound):
            self._connection.finish(exports[EXPORT].delete(), 60)


def _files(content: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            name = member.name.removeprefix(PLACE)
            file = tar.extractfile(member) if member.isreg() else None
            if file and name != member.name and "/" not in name:
                found[name] = file.read()
    return found
