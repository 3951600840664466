"""Backups of a plex: what etcd of its cluster had at one instant, and what that belongs to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

VERSION = 1
"""Of the format."""

MOST = 1 << 30
"""Bytes of a snapshot of etcd. Its own limit is twice that."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about its cluster. Whatever else a cluster has follows from the lab."""

    plex: str
    lab: str  # identifier
    created: str  # date and time in UTC, ISO 8601
    kubernetes: str  # "1.36.3"
    masters: tuple[str, ...]
    epoch: int  # of the keys
    services: str  # the network of the services
    domain: str

    @property
    def minor(self) -> tuple[int, int]:
        """(1, 36)"""
        return minor(self.kubernetes)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was read: whole, and written by this lab."""

    manifest: Manifest
    content: bytes = field(repr=False)  # a snapshot of etcd; it holds Secrets


def minor(version: str) -> tuple[int, int]:
    """(1, 36) of "1.36.3". ValueError if it is no version."""
    major, number, *_ = version.split(".")
    return int(major), int(number)


def write_manifest(manifest: Manifest) -> bytes:
    return json.dumps({"version": VERSION, **asdict(manifest)}).encode()


def read_manifest(content: bytes) -> Manifest:
    """ValueError if it is none, or one of a later version."""
    try:
        found = json.loads(content)
        version = found["version"]
        if version != VERSION:
            raise ValueError(f"its version is {version!r}; this plexctl reads version {VERSION}")
        masters = tuple(map(_text, found["masters"]))
        if not 1 <= len(masters) <= 9:
            raise ValueError(f"it has {len(masters)} masters")
        manifest = Manifest(
            plex=_text(found["plex"]),
            lab=_text(found["lab"]),
            created=_checked(found["created"], datetime.fromisoformat),
            kubernetes=_checked(found["kubernetes"], minor),
            masters=masters,
            epoch=_number(found["epoch"]),
            services=_text(found["services"]),
            domain=_text(found["domain"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its manifest lacks a field: {error}") from error
    return manifest


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 253:
        raise ValueError("a field of its manifest is no text")
    return value


def _checked(value: object, check: Callable[[str], Any]) -> str:
    text = _text(value)
    check(text)
    return text


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a field of its manifest is no number")
