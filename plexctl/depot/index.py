"""The index of a depot: one small file for each component, named by its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plexctl.depot.blobs import Blobs
from plexctl.depot.components import KubernetesRelease, SourceName
from plexctl.model.files import write_atomic


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of the depot: a program, or an OCI archive of a container image."""

    component: str
    name: str  # "kubeadm", "etcd.tar"
    version: str
    digest: str  # SHA-256 in hex
    size: int  # bytes
    path: Path  # read-only, named by digest
    mode: int  # of the installed file: 0o755


@dataclass(frozen=True, slots=True)
class Stored:
    """A component in the depot. `notes` tell the user about its source.

    `locked` are the digests that the depot.lock of a lab that uses it must have.
    """

    component: str
    version: str
    source: SourceName
    artifacts: tuple[Artifact, ...]
    notes: tuple[str, ...] = ()
    locked: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over names, modes and bytes of all artifacts."""
        parts = sorted((one.name, one.mode, one.digest) for one in self.artifacts)
        return hashlib.sha256(json.dumps([self.component, parts]).encode()).hexdigest()

    def artifact(self, name: str) -> Artifact:
        """KeyError if it has none of that name."""
        return {one.name: one for one in self.artifacts}[name]


@dataclass(frozen=True, slots=True)
class Index:
    """JSON files in `folder`. An entry is valid only while its blobs exist."""

    folder: Path
    blobs: Blobs

    @classmethod
    def of(cls, depot: Path) -> Index:
        """The index of the depot in that folder."""
        return cls(depot / "index", Blobs(depot / "blobs"))

    def find(self, component: str, release: KubernetesRelease) -> Stored | None:
        """A component of `release`, or None. Fast: reads no artifact."""
        return self.get(release.component(component).key)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.folder.glob("*.json")))

    def whole(self) -> Iterator[Stored]:
        """The entries whose files all exist."""
        for key in self.names():
            if stored := self.get(key):
                yield stored

    def get(self, key: str) -> Stored | None:
        """An entry whose files all exist with the right size, or None. Reads no artifact."""
        stored = self.read(key)
        if stored and all(self.blobs.has(one.digest, one.size) for one in stored.artifacts):
            return stored
        return None

    def read(self, key: str) -> Stored | None:
        """An entry, whether or not its files exist."""
        try:
            raw = json.loads(self.path(key).read_text())
            component = raw["component"]
            artifacts = (
                Artifact(**one, component=component, path=self.blobs.path(one["digest"]))
                for one in raw["artifacts"]
            )
            return Stored(
                component,
                raw["version"],
                SourceName(raw["source"]),
                tuple(artifacts),
                tuple(raw["notes"]),
                raw["locked"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing, or written by another version: the next fill writes it

    def put(self, key: str, stored: Stored) -> None:
        """Add or replace an entry. Its blobs must exist already."""
        kept = ("name", "version", "digest", "size", "mode")
        raw = {
            "component": stored.component,
            "version": stored.version,
            "source": stored.source,
            "notes": stored.notes,
            "locked": dict(stored.locked),
            "artifacts": [{name: getattr(a, name) for name in kept} for a in stored.artifacts],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path(key), json.dumps(raw, indent=1).encode())

    def drop(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        """The file of an entry."""
        return self.folder / f"{key}.json"
