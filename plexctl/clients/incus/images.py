"""Images of an Incus server: created, downloaded, copied from one server to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import instance_type
from plexctl.errors import PlexError
from plexctl.model.observed import ObservedImage
from plexctl.model.types import Form

CHUNK = 1 << 20
"""Bytes of an image that are read at once."""

TRANSFER = 1800
"""Seconds in which an image must be copied to another server."""


class IncusImages:
    """Images. An image that has a name (an alias) is complete."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> tuple[ObservedImage, ...]:
        return tuple(map(observed.image, self._connection.objects("images")))

    def find(self, name: str) -> ObservedImage | None:
        """The image called `name`; without a look at the volume that its nodes may share."""
        return next((image for image in self.list() if name in image.names), None)

    def upload(self, archive: Path) -> str:
        """Upload a unified image tarball; returns its fingerprint. It has no name.

        Its properties must be in its metadata: given by a header, they have crashed the server.
        """
        headers = {
            "X-Incus-filename": archive.name,
            "Content-Type": "application/octet-stream",
        }
        with (
            self._connection.failing_as(f"{archive.name} cannot be imported"),
            archive.open("rb") as content,
        ):
            response = self._connection.api.images.post(data=content, headers=headers, timeout=600)
            return str(self._connection.finish(response, 600)["metadata"]["fingerprint"])

    def download(
        self, server: str, alias: str, properties: Mapping[str, str], form: Form = Form.CONTAINER
    ) -> str:
        """Let the host download an image of a simplestreams server; returns its fingerprint.

        It has no name.
        """
        body = {
            "source": {
                "type": "image",
                "mode": "pull",
                "server": server,
                "protocol": "simplestreams",
                "alias": alias,
                "image_type": instance_type(form),
            },
            "properties": dict(properties),
        }
        with self._connection.failing_as(f"image {alias} cannot be downloaded from {server}"):
            done = self._connection.finish(self._connection.api.images.post(json=body), 900)
        return str(done["metadata"]["fingerprint"])

    def publish(self, instance: str, name: str, properties: Mapping[str, str]) -> str:
        """Create an image of a stopped instance, uncompressed (3.7 s for 1.1 GiB).

        The server gives it its name at the very end, even if this process is gone by then: an
        image that has its name is complete.
        """
        body = {
            "source": {"type": "instance", "name": instance},
            "properties": dict(properties),
            "aliases": [{"name": name}],
            "compression_algorithm": "none",
        }
        with self._connection.failing_as(f"image {name} cannot be published"):
            done = self._connection.finish(self._connection.api.images.post(json=body), 600)
        return str(done["metadata"]["fingerprint"])

    def publish_snapshot(
        self, instance: str, snapshot: str, properties: Mapping[str, str], timeout: float
    ) -> str:
        """Create an image of a snapshot, uncompressed and without a name."""
        body = {
            "source": {"type": "snapshot", "name": f"{instance}/{snapshot}"},
            "properties": dict(properties),
            "compression_algorithm": "none",
        }
        with self._connection.failing_as(f"snapshot {snapshot} of {instance} cannot be packed"):
            done = self._connection.finish(self._connection.api.images.post(json=body), timeout)
        return str(done["metadata"]["fingerprint"])

    def upload_pieces(self, pieces: Iterator[bytes], name: str, timeout: float) -> str:
        """Upload a unified image tarball piece by piece; returns its fingerprint. It has no name.

        An error of `pieces` is raised as it is, and leaves no image.
        """
        failed: list[Exception] = []

        def sent() -> Iterator[bytes]:
            try:
                yield from pieces
            except Exception as error:
                failed.append(error)
                raise

        headers = {
            "X-Incus-filename": f"{name}.tar",
            "Content-Type": "application/octet-stream",
        }
        try:
            with self._connection.failing_as(f"the files of {name} cannot be imported"):
                images = self._connection.api.images
                answer = images.post(data=sent(), headers=headers, timeout=timeout)
                return str(self._connection.finish(answer, timeout)["metadata"]["fingerprint"])
        except Exception:
            if failed:
                raise failed[0] from None
            raise

    def size(self, fingerprint: str) -> int:
        """Bytes of an image."""
        with self._connection.failing_as(f"image {fingerprint[:12]} cannot be read"):
            found = self._connection.api.images[fingerprint].get().json()["metadata"]
        return int(found["size"])

    def publishing(self) -> bool:
        """Whether the server is publishing an image now. It does not say of which instance."""
        operations = self._connection.under_way()
        stages = ((one["metadata"] or {}).get("progress", {}) for one in operations)
        return any(stage.get("stage") == "create_image_from_container_pack" for stage in stages)

    def delete(self, fingerprint: str) -> None:
        """Delete an image. One that does not exist is no error."""
        summary = f"image {fingerprint[:12]} cannot be deleted"
        with self._connection.failing_as(summary, gone_is_fine=True):
            self._connection.finish(self._connection.api.images[fingerprint].delete(), 120)

    @contextmanager
    def exported(self, fingerprint: str) -> Iterator[Iterator[bytes]]:
        """The bytes of an image, piece by piece."""
        summary = f"image {fingerprint[:12]} cannot be read"
        with self._connection.failing_as(summary):
            answer = self._connection.api.images[fingerprint].export.get(stream=True, is_api=False)
        with answer:
            if "multipart" in answer.headers.get("Content-Type", ""):
                raise PlexError(
                    f"image {fingerprint[:12]} is in two parts; only one tarball can be copied"
                )
            yield self._pieces(answer, summary)

    def _pieces(self, answer: Any, summary: str) -> Iterator[bytes]:
        # They are read while a call to another server is under way, which would otherwise be
        # reported as the server that failed.
        with self._connection.failing_as(summary):
            yield from answer.iter_content(CHUNK)

    def receive(self, content: Iterator[bytes], fingerprint: str, name: str) -> None:
        """Upload an image of another server. It gets its name at the very end.

        The server compares the SHA-256 of all bytes with `fingerprint`.
        """
        headers = {
            "X-Incus-fingerprint": fingerprint,
            "X-Incus-filename": f"{name}.tar",
            "Content-Type": "application/octet-stream",
        }
        with self._connection.failing_as(f"image {name} cannot be copied from another host"):
            images = self._connection.api.images
            self._connection.finish(
                images.post(data=content, headers=headers, timeout=TRANSFER), TRANSFER
            )
        self.set_name(fingerprint, name)

    def set_properties(self, fingerprint: str, properties: Mapping[str, str | None]) -> None:
        """Set properties of an image, or drop those that are None; all others stay.

        Another client may do the same: what was changed since it was read is read again. An image
        that does not exist is no error.
        """
        summary = f"the properties of image {fingerprint[:12]} cannot be changed"

        def change() -> None:
            with self._connection.failing_as(summary, gone_is_fine=True):
                image = self._connection.api.images[fingerprint]
                answer = image.get()
                found = answer.json()["metadata"]
                merged = {**(found["properties"] or {}), **properties}
                keys = ("public", "auto_update", "profiles", "expires_at")
                body = {key: found[key] for key in keys if key in found}
                body["properties"] = {k: v for k, v in merged.items() if v is not None}
                image.put(json=body, headers={"If-Match": answer.headers["ETag"]})

        self._connection.retry(f"image {fingerprint[:12]} can be changed", change, deadline=30)

    def set_name(self, fingerprint: str, name: str) -> None:
        """Give an image a name."""
        with self._connection.failing_as(f"image {fingerprint[:12]} cannot be named {name}"):
            self._connection.api.images.aliases.post(json={"name": name, "target": fingerprint})
