"""Images of an Incus server: made, fetched, carried from one server to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plexctl.clients.incus.connection import Connection
from plexctl.errors import PlexError
from plexctl.model.types import Form

CHUNK = 1 << 20
"""Bytes that are carried at once."""

TRANSFER = 1800
"""Seconds in which an image must have been carried to another server."""


def instance_type(form: Form) -> str:
    """What the server calls a form."""
    return "container" if form is Form.CONTAINER else "virtual-machine"


class Images(Connection):
    """What can be done with images. Calls are bounded in time; PlexError when one fails."""

    def import_image(self, archive: Path) -> str:
        """Upload a unified image tarball; returns its fingerprint. It has no name.

        Its properties must be in its metadata: given by a header, they have ended the server.
        """
        headers = {
            "X-Incus-filename": archive.name,
            "Content-Type": "application/octet-stream",
        }
        with self._speaking(f"{archive.name} cannot be imported"), archive.open("rb") as content:
            response = self._api.images.post(data=content, headers=headers, timeout=600)
            return str(self._finish(response, 600)["metadata"]["fingerprint"])

    def copy_image(
        self, server: str, alias: str, properties: Mapping[str, str], form: Form = Form.CONTAINER
    ) -> str:
        """Fetch an image of a simplestreams server; returns its fingerprint. It has no name."""
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
        with self._speaking(f"image {alias} cannot be fetched from {server}"):
            done = self._finish(self._api.images.post(json=body), 900)
        return str(done["metadata"]["fingerprint"])

    def publish(self, instance: str, name: str, properties: Mapping[str, str]) -> str:
        """Make an image of a stopped instance, uncompressed (3.7 s for 1.1 GiB).

        The server gives it its name at the very end, even if this process is gone by then: an
        image that has its name is whole.
        """
        body = {
            "source": {"type": "instance", "name": instance},
            "properties": dict(properties),
            "aliases": [{"name": name}],
            "compression_algorithm": "none",
        }
        with self._speaking(f"image {name} cannot be published"):
            done = self._finish(self._api.images.post(json=body), 600)
        return str(done["metadata"]["fingerprint"])

    def publishing(self) -> bool:
        """Whether the server makes an image of any instance just now; it does not say of which."""
        stages = ((one["metadata"] or {}).get("progress", {}) for one in self._under_way())
        return any(stage.get("stage") == "create_image_from_container_pack" for stage in stages)

    def delete_image(self, fingerprint: str) -> None:
        with self._speaking(f"image {fingerprint[:12]} cannot be deleted", gone_is_fine=True):
            self._finish(self._api.images[fingerprint].delete(), 120)

    @contextmanager
    def exported(self, fingerprint: str) -> Iterator[Iterator[bytes]]:
        """The bytes of an image, piece by piece."""
        with self._speaking(f"image {fingerprint[:12]} cannot be read"):
            answer = self._api.images[fingerprint].export.get(stream=True, is_api=False)
        with answer:
            if "multipart" in answer.headers.get("Content-Type", ""):
                raise PlexError(f"image {fingerprint[:12]} is in two parts, which are not carried")
            yield self._pieces(answer, f"image {fingerprint[:12]} cannot be read")

    def _pieces(self, answer: Any, what: str) -> Iterator[bytes]:
        # They are read while another server is spoken to, which would be blamed for what fails.
        with self._speaking(what):
            yield from answer.iter_content(CHUNK)

    def receive(self, content: Iterator[bytes], fingerprint: str, name: str) -> None:
        """Take an image from another server. It has its name at the very end, once it is whole.

        The server itself holds the bytes against `fingerprint`, the SHA-256 of all of them.
        """
        headers = {
            "X-Incus-fingerprint": fingerprint,
            "X-Incus-filename": f"{name}.tar",
            "Content-Type": "application/octet-stream",
        }
        with self._speaking(f"image {name} cannot be taken from another host"):
            answer = self._api.images.post(data=content, headers=headers, timeout=TRANSFER)
            self._finish(answer, TRANSFER)
        self.name_image(fingerprint, name)

    def name_image(self, fingerprint: str, name: str) -> None:
        with self._speaking(f"image {fingerprint[:12]} cannot be named {name}"):
            self._api.images.aliases.post(json={"name": name, "target": fingerprint})
