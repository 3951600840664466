"""The depot: verified artifacts by content, an index of them by pin."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from plexctl.clients.web import Web, mismatch
from plexctl.depot.blobs import Blobs, sha256_of, write_whole
from plexctl.depot.carried import Carried
from plexctl.depot.gobuild import GoBuild
from plexctl.depot.lock import Lock
from plexctl.depot.pins import Component, KubernetesRelease, Pins
from plexctl.depot.release import Release
from plexctl.depot.sources import Offer, Refusal, Source, SourceName, Sources
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter

LOCK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of the depot: a program, or an OCI archive of a container image."""

    component: str
    name: str  # "kubeadm", "etcd.tar"
    version: str
    digest: str  # SHA-256 in hex
    size: int  # bytes
    path: Path  # where its bytes are; read-only, named by digest
    mode: int  # what it is installed with: 0o755


@dataclass(frozen=True, slots=True)
class Stored:
    """A component in the depot. `notes` say what a user should know of where it came from."""

    component: str
    version: str
    source: SourceName
    artifacts: tuple[Artifact, ...]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 in hex over names, modes and bytes of all artifacts."""
        parts = sorted((one.name, one.mode, one.digest) for one in self.artifacts)
        return hashlib.sha256(json.dumps([self.component, parts]).encode()).hexdigest()

    def artifact(self, name: str) -> Artifact:
        return next(one for one in self.artifacts if one.name == name)


@dataclass(frozen=True, slots=True)
class Damaged:
    """An artifact whose bytes have changed or are gone."""

    component: str
    name: str
    expected: str
    found: str  # SHA-256 in hex, or "nothing"


@dataclass(frozen=True, slots=True)
class Pruned:
    entries: tuple[str, ...]  # "kubernetes 1.35.4"
    blobs: int
    freed: int  # bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of the index. `locked` is what depot.lock of a lab that uses it must say."""

    key: str
    stored: Stored
    locked: Mapping[str, str]


class Depot:
    """A folder of artifacts, shared by all labs of a user."""

    def __init__(self, root: Path, sources: Sources | None = None) -> None:
        self.root = root
        self.sources = sources or Sources()
        self._blobs = Blobs(root / "blobs")
        self._index = root / "index"
        self._work = root / "work"
        self._lock = Lock(self.sources.lock)

    def find(self, component: str, release: KubernetesRelease) -> Stored | None:
        """What the depot has of a component of `release`. Quick: no bytes are read."""
        entry = self._read(self._index / f"{release.component(component).key}.json")
        return entry.stored if entry else None

    def list(self) -> tuple[Stored, ...]:
        """All components, also those that no pin uses any more."""
        return tuple(entry.stored for entry in self._entries())

    def fill(
        self, release: KubernetesRelease, components: Sequence[str], reporter: Reporter
    ) -> tuple[Stored, ...]:
        """Have all of `components`; those that are there are verified byte by byte.

        Each missing one comes from the first source that can serve it. PlexError if none can, and
        if bytes are wrong, which ends the fill at once; what was whole before then is kept.
        """
        wanted = [release.component(name) for name in components]
        with self._locked(reporter):
            missing = [one for one in wanted if not self._verified(one, reporter)]
            if missing:
                self._fetch(missing, reporter)
        found = (self.find(one.name, release) for one in wanted)
        return tuple(stored for stored in found if stored is not None)

    def verify(self) -> tuple[Damaged, ...]:
        """Read every byte. What uses a damaged file is forgotten: the next fill mends it."""
        with self._locked():
            damaged: list[Damaged] = []
            for path in self._index.glob("*.json"):
                entry = self._parse(path)
                found = self._damage(entry) if entry else []
                damaged += found
                if found or not entry:
                    self._forget(path, found)
            return tuple(damaged)

    def prune(self, pins: Pins) -> Pruned:
        """Drop what no pin uses."""
        keys = {one.key for release in pins.releases for one in release.components.values()}
        with self._locked():
            gone = [entry for entry in self._entries() if entry.key not in keys]
            for entry in gone:
                self._path(entry.key).unlink()
            used = {
                artifact.digest for entry in self._entries() for artifact in entry.stored.artifacts
            }
            unused = [digest for digest in self._blobs.digests() if digest not in used]
            freed = sum(self._blobs.drop(digest) for digest in unused)
        names = (f"{entry.stored.component} {entry.stored.version}" for entry in gone)
        return Pruned(tuple(names), len(unused), freed)

    def _verified(self, component: Component, reporter: Reporter) -> bool:
        entry = self._read(self._path(component.key))
        if entry is None:
            return False
        with reporter.step(f"depot: {component.name}") as step:
            for damaged in self._damage(entry):
                self._forget(self._path(component.key), [damaged])
                where = str(self._blobs.path(damaged.expected))
                raise mismatch(
                    f"{damaged.name} of {component.name} {entry.stored.version}",
                    damaged.expected,
                    damaged.found,
                    where,
                )
            self._lock.keep(entry.locked)
            step.end(Outcome.UNCHANGED, f"{entry.stored.version} from {entry.stored.source}")
        return True

    def _fetch(self, missing: Sequence[Component], reporter: Reporter) -> None:
        refusals: list[tuple[SourceName, Refusal]] = []
        for source in self._sources():
            work = self._work / source.name
            work.mkdir(parents=True)
            served = set[str]()
            for answer in source.serve(missing, work, reporter):
                if isinstance(answer, Refusal):
                    refusals.append((source.name, answer))
                    continue
                why = [_line(n, r) for n, r in refusals if r.component == answer.component]
                self._store(answer, source.name, why, reporter)
                served.add(answer.component.name)
            missing = [one for one in missing if one.name not in served]
            if not missing:
                return
        names = {one.name for one in missing}
        left = [(name, refusal) for name, refusal in refusals if refusal.component.name in names]
        raise PlexError(
            f"no source can serve {', '.join(sorted(names))}",
            details=_explained(left),
            hint=next((refusal.hint for _, refusal in reversed(left) if refusal.hint), None),
        )

    def _sources(self) -> Iterator[Source]:
        for name in self.sources.allowed:
            match name:
                case SourceName.DIR:
                    yield Carried(self.sources.carried)
                case SourceName.RELEASE:
                    yield Release(Web(self.sources.rewrites, self.sources.ca), self._lock)
                case SourceName.GOBUILD:
                    yield GoBuild()

    def _store(
        self, offer: Offer, source: SourceName, why: Sequence[str], reporter: Reporter
    ) -> None:
        name = offer.component.name
        with reporter.step(f"depot: {name}") as step:
            artifacts = []
            for made in offer.made:
                digest = sha256_of(made.file)
                if made.expected not in (None, digest):
                    raise mismatch(
                        f"{made.name} of {name} {offer.version}", made.expected, digest, source
                    )
                size, path = made.file.stat().st_size, self._blobs.path(digest)
                artifacts.append(
                    Artifact(name, made.name, made.version, digest, size, path, made.mode)
                )
            # All are good: only now is one kept.
            for made, artifact in zip(offer.made, artifacts, strict=True):
                self._blobs.take(made.file, artifact.digest)
            notes = (*offer.notes, *why)
            stored = Stored(name, offer.version, source, tuple(artifacts), notes)
            self._write(_Entry(offer.component.key, stored, dict(offer.locked)))
            self._lock.keep(offer.locked)
            step.end(Outcome.CHANGED, "; ".join((f"{offer.version} from {source}", *notes)))

    def _damage(self, entry: _Entry) -> list[Damaged]:
        damaged = []
        for artifact in entry.stored.artifacts:
            found = sha256_of(artifact.path) if artifact.path.exists() else "nothing"
            if found != artifact.digest:
                damaged.append(
                    Damaged(entry.stored.component, artifact.name, artifact.digest, found)
                )
        return damaged

    def _forget(self, path: Path, damaged: Sequence[Damaged]) -> None:
        path.unlink()
        for one in damaged:
            self._blobs.drop(one.expected)

    def _path(self, key: str) -> Path:
        return self._index / f"{key}.json"

    def _entries(self) -> Iterator[_Entry]:
        for path in sorted(self._index.glob("*.json")):
            if entry := self._read(path):
                yield entry

    def _read(self, path: Path) -> _Entry | None:
        """An entry, if all of its files are there; their bytes are not read."""
        entry = self._parse(path)
        whole = entry and all(self._blobs.has(a.digest, a.size) for a in entry.stored.artifacts)
        return entry if whole else None

    def _parse(self, path: Path) -> _Entry | None:
        try:
            raw = json.loads(path.read_text())
            artifacts = tuple(
                Artifact(**one, component=raw["component"], path=self._blobs.path(one["digest"]))
                for one in raw["artifacts"]
            )
            stored = Stored(
                raw["component"],
                raw["version"],
                SourceName(raw["source"]),
                artifacts,
                tuple(raw["notes"]),
            )
            return _Entry(path.stem, stored, raw["locked"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None  # of another version of plexctl: as good as not there

    def _write(self, entry: _Entry) -> None:
        artifacts = [
            {
                "name": one.name,
                "version": one.version,
                "digest": one.digest,
                "size": one.size,
                "mode": one.mode,
            }
            for one in entry.stored.artifacts
        ]
        raw = {
            "component": entry.stored.component,
            "version": entry.stored.version,
            "source": entry.stored.source,
            "notes": entry.stored.notes,
            "locked": dict(entry.locked),
            "artifacts": artifacts,
        }
        write_whole(self._path(entry.key), json.dumps(raw, indent=1))

    @contextmanager
    def _locked(self, reporter: Reporter | None = None) -> Iterator[None]:
        """Alone in the depot, with an empty folder for what is under way."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _wait_for(lock, reporter)
        try:
            # Whatever is there was left by a crash: nobody else is at work.
            shutil.rmtree(self._work, ignore_errors=True)
            yield
        finally:
            shutil.rmtree(self._work, ignore_errors=True)
            lock.release()


def _wait_for(lock: FileLock, reporter: Reporter | None) -> None:
    try:
        if reporter is None:
            lock.acquire(timeout=LOCK_SECONDS)
            return
        with reporter.step("wait for another plexctl that fills the depot"):
            lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise PlexError(
            f"another plexctl has held the depot for {LOCK_SECONDS / 60:.0f} minutes",
            details=[f"its lock is {lock.lock_file}"],
        ) from error


def _line(source: SourceName, refusal: Refusal) -> str:
    return f"{source}: {refusal.reason}"


def _explained(refusals: Sequence[tuple[SourceName, Refusal]]) -> Iterator[str]:
    for source, refusal in refusals:
        yield f"{refusal.component.name}: {_line(source, refusal)}"
        yield from (f"    {line}" for line in refusal.details)
