"""Pulls container images from a registry: the part of its protocol that a pull needs."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from plexctl.clients.mismatch import mismatch
from plexctl.clients.web import Progress, Web, WebError
from plexctl.errors import PlexError

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image: registry.k8s.io/coredns/coredns:v1.14.2."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        name, _, tag = text.rpartition(":")
        registry, _, repository = name.partition("/")
        if not (registry and repository and tag):
            raise PlexError(f"{text!r} is not a full name of a container image")
        return cls(registry, repository, tag)

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class PulledBlob:
    media_type: str
    digest: str  # SHA-256 in hex
    size: int
    file: Path


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image for one architecture, unchanged.

    `digest` is the one that the tag points to: of the index of all architectures, if there is one.
    """

    digest: str
    manifest_type: str
    manifest: bytes
    blobs: tuple[PulledBlob, ...]  # the configuration, then the layers


@dataclass(frozen=True, slots=True)
class _Document:
    media_type: str
    content: bytes
    value: Mapping[str, Any]  # JSON, parsed only here

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class OciRegistry:
    """Pulls images over HTTPS, without credentials."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._tokens: dict[tuple[str, str], str] = {}  # by registry and repository

    def pull(
        self,
        reference: Reference,
        architecture: str,
        folder: Path,
        accept: Callable[[str], None],
        progress: Progress,
    ) -> Pulled:
        """Download an image's blobs into `folder`, and verify every digest.

        `accept` is called with the digest that the tag points to, before the download, and may
        raise. WebError if the registry fails; PlexError if a digest does not match.
        """
        top = self._manifest(reference, reference.tag)
        accept(top.digest)
        manifest = top
        try:
            if top.media_type in _INDEXES:
                digest = _choose(reference, top, architecture)
                manifest = self._manifest(reference, f"sha256:{digest}", digest)
            parts = (manifest.value["config"], *manifest.value["layers"])
            wanted = [(one["mediaType"], _hex(one["digest"]), int(one["size"])) for one in parts]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WebError(f"{reference} has a manifest that cannot be read") from error
        total = sum(size for _, _, size in wanted) or 1
        blobs = list[PulledBlob]()
        for media_type, digest, size in wanted:
            before = sum(one.size for one in blobs)
            file = folder / digest
            share = functools.partial(_share_of, progress, before, size, total)
            self._blob(reference, digest, file, share)
            blobs.append(PulledBlob(media_type, digest, size, file))
        return Pulled(top.digest, manifest.media_type, manifest.content, tuple(blobs))

    def _manifest(self, reference: Reference, name: str, expected: str | None = None) -> _Document:
        url = _url(reference, "manifests", name)
        accept = {"Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
        content, headers = self._web.read(url, accept | self._authorized(reference, url))
        try:
            value = json.loads(content)
            media_type = value.get("mediaType") or headers.get("Content-Type", "").partition(";")[0]
        except (ValueError, AttributeError) as error:
            raise WebError(f"{url} is not a manifest") from error
        document = _Document(media_type, content, value)
        if expected is not None:
            _check(f"the manifest of {reference}", expected, document.digest, url)
        return document

    def _blob(self, reference: Reference, digest: str, file: Path, progress: Progress) -> None:
        url = _url(reference, "blobs", f"sha256:{digest}")
        found = self._web.download(url, file, progress, self._authorized(reference, url))
        _check(f"a blob of {reference}", digest, found, url)

    def _authorized(self, reference: Reference, url: str) -> dict[str, str]:
        """The authorization header, if the registry requires one."""
        place = reference.registry, reference.repository
        if place not in self._tokens:
            self._tokens[place] = self._token(url)
        token = self._tokens[place]
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _token(self, url: str) -> str:
        with self._web.get(url, method="HEAD", accept_errors=True) as response:
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or not challenge.lower().startswith("bearer "):
                return ""
        fields = dict(_CHALLENGE.findall(challenge))
        realm = fields.pop("realm", "")
        if not realm.startswith("https://"):
            raise WebError(f"{url} asks for a token from {realm!r}, which is not an HTTPS URL")
        try:
            answer = json.loads(self._web.read(f"{realm}?{urlencode(fields)}")[0])
            return str(answer.get("token") or answer.get("access_token") or "")
        except (ValueError, AttributeError) as error:
            raise WebError(f"{realm} returns no token") from error


def _share_of(progress: Progress, before: int, size: int, total: int, share: float) -> None:
    progress((before + share * size) / total)


def _url(reference: Reference, kind: str, name: str) -> str:
    return f"https://{reference.registry}/v2/{reference.repository}/{kind}/{name}"


def _choose(reference: Reference, index: _Document, architecture: str) -> str:
    for one in index.value.get("manifests", ()):
        platform = one.get("platform", {})
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            return _hex(one["digest"])
    raise WebError(f"{reference} has no image for linux/{architecture}")


def _hex(digest: str) -> str:
    """The hexadecimal part of a digest. It becomes a file name: ValueError for anything else."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(digest)
    return digest.removeprefix("sha256:")


def _check(what: str, expected: str, found: str, url: str) -> None:
    if expected != found:
        raise mismatch(what, expected, found, url)
