"""Custom volumes of an Incus server: disks that outlive its instances, and seeds of VMs."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.model.observed import ObservedVolume
from plexctl.model.settings import TAG, Settings

TRANSFER = 300
"""Seconds in which a seed must be on the server."""


class IncusVolumes:
    """Custom volumes."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedVolume]:
        """Volumes of the pool that the host's instances are in."""
        pool = self._connection.spec.pool
        found = self._connection.objects("storage-pools", pool, "volumes", "custom")
        return {volume.name: volume for volume in map(observed.volume, found)}

    def put(self, name: str, pool: str, config: Settings, *, exists: bool) -> None:
        """Create a volume, or (`exists`) set these keys of it; without `size` it has no limit."""
        with self._connection.failing_as(
            f"volume {name} cannot be {'changed' if exists else 'created'}"
        ):
            volumes = self._connection.api["storage-pools"][pool].volumes.custom
            if exists:
                # The config also has the owner of the files, which the server sets: no key of it
                # may be dropped.
                changed = volumes[name].patch(json={"config": {"size": "", **dict(config)}})
                self._connection.finish(changed, 60)
            else:
                created = volumes.post(json={"name": name, "config": dict(config)})
                self._connection.finish(created, 60)

    def create_disc(self, name: str, pool: str, content: bytes, tags: Settings) -> None:
        """Create a volume of an ISO 9660 image, which VMs see as a disc. It must not exist yet.

        Such a volume has no config of its own: its tags are in its description, which the server
        takes in a second call, a moment after the content.
        """
        headers = {
            "X-Incus-name": name,
            "X-Incus-type": "iso",
            "Content-Type": "application/octet-stream",
        }
        with self._connection.failing_as(f"volume {name} cannot be created"):
            volumes = self._connection.api["storage-pools"][pool].volumes.custom
            created = volumes.post(data=content, headers=headers, timeout=TRANSFER)
            self._connection.finish(created, TRANSFER)
            described = {"description": " ".join(f"{key}={value}" for key, value in tags)}
            self._connection.finish(volumes[name].patch(json=described), 60)

    def set_tags(self, name: str, tags: Mapping[str, str], *, disc: bool = False) -> None:
        """Add tags to a volume. A disc has only those that are in `tags` then."""
        pool = self._connection.spec.pool
        if not disc:
            self._connection.set_tags(tags, name, "storage-pools", pool, "volumes", "custom")
            return
        with self._connection.failing_as(f"volume {name} cannot be tagged", gone_is_fine=True):
            volume = self._connection.api["storage-pools"][pool].volumes.custom[name]
            words = " ".join(f"{TAG}{key}={value}" for key, value in sorted(tags.items()))
            self._connection.finish(volume.patch(json={"description": words}), 60)

    def delete(self, name: str) -> None:
        """Delete a volume of the host's pool. One that does not exist is no error."""
        with self._connection.failing_as(f"volume {name} cannot be deleted", gone_is_fine=True):
            pool = self._connection.api["storage-pools"][self._connection.spec.pool]
            self._connection.finish(pool.volumes.custom[name].delete(), 120)
