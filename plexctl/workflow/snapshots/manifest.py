"""The description of a snapshot in a file, signed with the lab's seed."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from plexctl.config.bounded import check_json
from plexctl.keys.seed import RootSeed
from plexctl.model.snapshots import is_snapshot_name

FORMAT = "plexctl-snapshot"
VERSION = 1
MOST_BYTES = 4 << 20
MOST_NODES = 10_000

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9._+-]{1,100}")
_MAC = "mac"


class ManifestError(ValueError):
    """A manifest that cannot be used. Its text says which field is wrong."""


class ForeignError(ManifestError):
    """A manifest of another lab."""


@dataclass(frozen=True, slots=True)
class SavedNode:
    """A node in the file."""

    name: str
    image: str  # name of the image that it was created from: the hash of its recipe
    boot: str  # SHA-256 of the files that it boots with
    size: int  # bytes of its disk in the file
    sha256: str  # of the same

    @property
    def member(self) -> str:
        """The name of its disk in the file."""
        return f"nodes/{self.name}.tar"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a file of `plexctl snapshot export`."""

    plex: str
    snapshot: str
    created: str  # date and time in UTC, ISO 8601
    lab: str  # its public identifier
    kubernetes: str
    architecture: str
    nodes: tuple[SavedNode, ...]

    def signed(self, seed: RootSeed) -> bytes:
        """The manifest as JSON, with a code that only this lab can compute."""
        content = self._content()
        return json.dumps({**content, _MAC: _mac(content, seed)}, indent=1).encode() + b"\n"

    def _content(self) -> dict[str, object]:
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def read_manifest(content: bytes, seed: RootSeed) -> Manifest:
    """The manifest in `content`. ManifestError unless this lab has written it as it is."""
    try:
        found = check_json(content, MOST_BYTES)
    except ValueError as error:
        raise ManifestError(f"it is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ManifestError(f"format: must be {FORMAT!r}")
    if found.get("version") != VERSION:
        raise ManifestError(
            f"version: this plexctl reads version {VERSION}, not {found.get('version')!r}"
        )
    lab = _text(found, "lab", re.compile(r"[0-9a-f]{32}"))
    if lab != seed.lab_id:
        raise ForeignError(f"lab: it is of the lab {lab}, and this one is {seed.lab_id}")
    given = found.pop(_MAC, None)
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode(errors="replace"), _mac(found, seed).encode()
    ):
        raise ManifestError("mac: the manifest was changed since this lab wrote it")
    return _manifest(found, lab)


def _manifest(found: Mapping[str, object], lab: str) -> Manifest:
    nodes = found.get("nodes")
    if not isinstance(nodes, list) or not 0 < len(nodes) <= MOST_NODES:
        raise ManifestError("nodes: must be a list of nodes")
    saved = tuple(_node(one, f"nodes[{place}]") for place, one in enumerate(nodes))
    if len({one.name for one in saved}) != len(saved):
        raise ManifestError("nodes: two have the same name")
    name = _text(found, "snapshot", _WORD)
    if not is_snapshot_name(name):
        raise ManifestError("snapshot: no snapshot can have this name")
    created = _text(found, "created", re.compile(r"[0-9T:+.-]{10,40}"))
    try:
        datetime.fromisoformat(created)
    except ValueError:
        raise ManifestError("created: must be a date and a time") from None
    return Manifest(
        _text(found, "plex", _NAME),
        name,
        created,
        lab,
        _text(found, "kubernetes", _WORD),
        _text(found, "architecture", _WORD),
        saved,
    )


def _node(found: object, place: str) -> SavedNode:
    if not isinstance(found, dict):
        raise ManifestError(f"{place}: must be a node")
    size = found.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 1 << 50:
        raise ManifestError(f"{place}.size: must be a number of bytes")
    return SavedNode(
        _text(found, "name", _NAME, place),
        _text(found, "image", _WORD, place),
        _text(found, "boot", _DIGEST, place),
        size,
        _text(found, "sha256", _DIGEST, place),
    )


def _text(
    found: Mapping[str, object], field: str, pattern: re.Pattern[str], place: str = ""
) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestError(f"{place + '.' if place else ''}{field}: is missing or cannot be")
    return value


def _mac(content: Mapping[str, object], seed: RootSeed) -> str:
    key = seed.derive("snapshot", "export")
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(key, text, "sha256").hex()
