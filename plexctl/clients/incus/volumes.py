"""Custom volumes of an Incus server: what outlives its instances, and seeds of VMs."""

from __future__ import annotations

from plexctl.clients.incus.images import Images
from plexctl.model.settings import Settings

TRANSFER = 300
"""Seconds in which a seed must have been carried to the server."""


class Volumes(Images):
    """What can be done with custom volumes. Calls are bounded in time; PlexError when one fails."""

    def put_volume(self, name: str, pool: str, config: Settings, *, exists: bool) -> None:
        with self._speaking(f"volume {name} cannot be made"):
            volumes = self._api["storage-pools"][pool].volumes.custom
            if exists:
                # The server keeps in the config whom the files belong to: nothing is taken away.
                self._finish(volumes[name].patch(json={"config": dict(config)}), 60)
            else:
                self._finish(volumes.post(json={"name": name, "config": dict(config)}), 60)

    def put_disk(self, name: str, pool: str, content: bytes, tags: Settings) -> None:
        """Make a volume of an ISO 9660 image, which VMs see as a disc. It must not be there yet.

        Such a volume has no config of its own: its tags are in its description, which it has a
        moment after its content.
        """
        headers = {
            "X-Incus-name": name,
            "X-Incus-type": "iso",
            "Content-Type": "application/octet-stream",
        }
        with self._speaking(f"volume {name} cannot be made"):
            volumes = self._api["storage-pools"][pool].volumes.custom
            self._finish(volumes.post(data=content, headers=headers, timeout=TRANSFER), TRANSFER)
            described = {"description": " ".join(f"{key}={value}" for key, value in tags)}
            self._finish(volumes[name].patch(json=described), 60)

    def delete_volume(self, name: str) -> None:
        with self._speaking(f"volume {name} cannot be deleted", gone_is_fine=True):
            volume = self._api["storage-pools"][self.host.pool].volumes.custom[name]
            self._finish(volume.delete(), 120)
