"""Disks of containers, copied out of an Incus server and into one, as images without a name.

An image needs no permission of a confined project that instances do not need, and what is created
from one has the configuration of the request alone. A backup of an instance has a configuration of
its own, which an import would have to be kept from using.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from plexctl.clients.incus import disk_tar
from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.images import IncusImages
from plexctl.clients.incus.instances import IncusInstances
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.disks import DiskCopy, NewInstance
from plexctl.model.types import Form

PUBLISH = 1800.0
"""Seconds in which a server must pack or unpack the files of one node."""


class IncusDisks:
    """Disks (see `model.disks.Disks`)."""

    def __init__(
        self, connection: IncusConnection, images: IncusImages, instances: IncusInstances
    ) -> None:
        self._connection = connection
        self._images = images
        self._instances = instances

    def architecture(self) -> str:
        with self._connection.failing_as("its architecture cannot be read"):
            found = self._connection.api.get().json()["metadata"]["environment"]
        return str(found["architectures"][0])

    @contextmanager
    def exported(
        self, instance: str, snapshot: str, marks: Mapping[str, str]
    ) -> Iterator[DiskCopy]:
        """The image has no compression: that would take longer than everything else."""
        fingerprint = self._images.publish_snapshot(instance, snapshot, marks, PUBLISH)
        try:
            size = self._images.size(fingerprint)
            with self._images.exported(fingerprint) as pieces:
                yield DiskCopy(size, pieces)
        finally:
            self._images.delete(fingerprint)

    def check(self, content: BinaryIO) -> None:
        disk_tar.check(content)

    def create(
        self, new: NewInstance, content: BinaryIO, architecture: str, marks: Mapping[str, str]
    ) -> None:
        pieces = disk_tar.image_tar(content, architecture, int(time.time()), marks)
        fingerprint = self._images.upload_pieces(pieces, new.name, PUBLISH)
        try:
            self._instances.create(
                new.name,
                image=fingerprint,
                form=Form.CONTAINER,
                profiles=(new.profile,),
                config=new.config,
                devices=new.devices,
            )
            self._instances.set_image(new.name, new.image, marks)
        finally:
            self._images.delete(fingerprint)

    def delete_temporary(self, marks: Mapping[str, str]) -> None:
        """The server goes on publishing when its client is gone: this waits for it."""
        published = Condition(
            f"host {self._connection.spec.name} has packed the files of an interrupted run",
            probe=lambda: Observation(not self._images.publishing()),
            deadline=PUBLISH,
        )
        wait(published)
        for image in self._images.list():
            if not image.names and marks.items() <= image.properties.items():
                self._images.delete(image.fingerprint)
