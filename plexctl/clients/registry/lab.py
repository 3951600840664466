"""The client of the lab's own registry."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.secret import Secret

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request."""

    status: int
    headers: Mapping[str, str]  # names in small letters
    content: bytes


class Route(Protocol):
    """A way to a registry. It trusts only the lab's CA."""

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Send one request. PlexError if there is no answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """One blob of an artifact."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


class LabRegistry:
    """The registry of one host, with the user that may push.

    PlexError if it does not answer or refuses; UnreachableHostError if its host is unreachable.
    """

    def __init__(self, name: str, route: Route, user: str, password: Secret) -> None:
        self._name, self._route = name, route
        login = b64encode(f"{user}:{password.reveal_text()}".encode()).decode()
        self._login = {"Authorization": f"Basic {login}"}

    def ping(self) -> None:
        """PlexError unless the registry answers."""
        self._call("GET", "/v2/", fine=(200,))

    def repositories(self) -> tuple[str, ...]:
        """Names of its repositories; Zot also lists what it has cached."""
        found = json.loads(self._call("GET", "/v2/_catalog?n=1000", fine=(200,)).content)
        return tuple(str(name) for name in found["repositories"] or ())

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest that a tag points to; None if there is no such tag."""
        answer = self._call("HEAD", f"/v2/{repository}/manifests/{tag}", {"Accept": MANIFEST})
        if answer.status == 404:
            return None
        return answer.headers.get("docker-content-digest")

    def push(self, repository: str, tag: str, config: Part, layer: Part) -> tuple[str, bool]:
        """Push an artifact of one layer as `tag`; returns its digest, and whether it was new."""
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
            },
            sort_keys=True,
        ).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if self.digest(repository, tag) == digest:
            return digest, False
        for part in (config, layer):
            self._blob(repository, part)
        self._call(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            {"Content-Type": MANIFEST},
            body,
            fine=(201,),
        )
        return digest, True

    def _blob(self, repository: str, part: Part) -> None:
        there = self._call("HEAD", f"/v2/{repository}/blobs/{part.digest}")
        if there.status == 200:
            return
        begun = self._call("POST", f"/v2/{repository}/blobs/uploads/", fine=(202,))
        # The server answers with a URL. Only its path counts: the server may not know its name.
        place = urlsplit(begun.headers["location"])
        query = f"{place.query}&" if place.query else ""
        self._call(
            "PUT",
            f"{place.path}?{query}digest={part.digest}",
            {"Content-Type": "application/octet-stream"},
            part.content,
            fine=(201,),
        )

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        fine: tuple[int, ...] = (200, 404),
    ) -> Reply:
        try:
            answer = self._route(method, path, {**self._login, **(headers or {})}, body)
        except UnreachableHostError:
            raise
        except PlexError as error:
            raise PlexError(
                f"the lab's registry at {self._name} does not answer",
                details=(error.summary,),
                hint="`plexctl registry status`; `plexctl registry up` creates it",
            ) from error
        if answer.status not in fine:
            raise PlexError(
                f"the lab's registry refuses {method} {urlsplit(path).path}: HTTP {answer.status}",
                details=answer.content.decode(errors="replace").splitlines()[:3],
            )
        return answer
