"""The depot: a content-addressed folder of verified artifacts, shared by all labs of a user."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from plexctl.clients.mismatch import mismatch
from plexctl.clients.web import Web
from plexctl.depot.blobs import sha256_of
from plexctl.depot.components import Component, KubernetesRelease, Pins, SourceName
from plexctl.depot.folder import FolderSource
from plexctl.depot.gobuild import GoBuildSource
from plexctl.depot.golang import cores
from plexctl.depot.index import Artifact, Index, Stored
from plexctl.depot.lock import Lock
from plexctl.depot.release import ReleaseSource
from plexctl.depot.sources import ArtifactSource, Offer, Refusal, Sources
from plexctl.depot.users import DepotUsers
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter

__all__ = ["Artifact", "Damaged", "Depot", "Pruned", "Stored"]

LOCK_SECONDS = 3600.0
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Damaged:
    """An artifact whose bytes have changed or are missing."""

    component: str
    version: str
    name: str
    expected: str  # SHA-256 in hex
    found: str  # the same, or NOTHING


@dataclass(frozen=True, slots=True)
class Pruned:
    components: tuple[str, ...]  # "kubernetes 1.35.4"
    blobs: int
    freed: int  # bytes
    kept: tuple[str, ...] = ()  # what only other labs use


class Depot:
    """`root` is created by the first fill. It contains blobs/, index/ and, during a fill, work/."""

    def __init__(self, root: Path, sources: Sources | None = None) -> None:
        self.root = root
        self.sources = sources or Sources()
        self._index = Index.of(root)
        self._blobs = self._index.blobs
        self._work = root / "work"
        self._lock = Lock(self.sources.lock)

    def find(self, component: str, release: KubernetesRelease) -> Stored | None:
        """A component of `release`, or None. Fast: reads no artifact."""
        return self._index.find(component, release)

    def list(self) -> tuple[Stored, ...]:
        """All components, including those that no pin uses any more."""
        return tuple(self._index.whole())

    def fill(
        self, release: KubernetesRelease, components: Sequence[str], reporter: Reporter
    ) -> tuple[Stored, ...]:
        """Fetch or build missing `components`, and verify present ones byte by byte.

        A missing component comes from the first source that can serve it. PlexError if none can;
        an optional one is stored without artifacts, and the next fill tries again. PlexError at
        once if bytes are wrong; components that were complete by then are kept.
        """
        self._lock.read()  # a damaged file is refused before anything is built
        wanted = [release.component(name) for name in dict.fromkeys(components)]
        with self._alone(reporter):
            has = {one.name: stored for one in wanted if (stored := self._verified(one, reporter))}
            missing = [one for one in wanted if one.name not in has]
            has |= {stored.component: stored for stored in self._fetched(missing, reporter)}
        return tuple(has[one.name] for one in wanted)

    def verify(self) -> tuple[Damaged, ...]:
        """Read every byte. Drops components with damaged files; the next fill fetches them."""
        with self._alone():
            return tuple(one for key in self._index.names() for one in self._examined(key))

    def prune(self, pins: Pins, lab: str) -> Pruned:
        """Delete components and blobs that neither `pins`, of `lab`, nor other labs use."""
        users = DepotUsers.of(self.root)
        with self._alone():
            pinned, others = pins.keys(), users.keys(without=lab)
            entries = {key: self._index.read(key) for key in self._index.names()}
            unpinned = [key for key in entries if key not in pinned]
            gone = [
                key
                for key in unpinned
                if key not in others and not users.may_be_older(self._index.path(key))
            ]
            for key in gone:
                self._index.drop(key)
            kept = {key: stored for key, stored in entries.items() if key not in gone and stored}
            used = {artifact.digest for one in kept.values() for artifact in one.artifacts}
            unused = [digest for digest in self._blobs.digests() if digest not in used]
            freed = sum(self._blobs.drop(digest) for digest in unused)
        names = (f"{one.component} {one.version}" for key in gone if (one := entries[key]))
        stay = (f"{kept[k].component} {kept[k].version}" for k in unpinned if k in kept)
        return Pruned(tuple(names), len(unused), freed, tuple(stay))

    def _verified(self, component: Component, reporter: Reporter) -> Stored | None:
        stored = self._index.get(component.key)
        if stored is None or not stored.artifacts or not self._lock.accepts(stored):
            return None
        with reporter.step(f"depot: {component.name}") as step:
            for damaged in self._examined(component.key):
                raise mismatch(
                    f"{damaged.name} of {damaged.component} {damaged.version} in the depot",
                    damaged.expected,
                    damaged.found,
                    str(self._blobs.path(damaged.expected)),
                    hint="the damaged file is deleted; run `plexctl depot fill` to fetch it again",
                )
            self._lock.keep(stored.locked)
            step.end(Outcome.UNCHANGED, f"{stored.version} from {stored.source}, verified")
        return stored

    def _examined(self, key: str) -> Sequence[Damaged]:
        """The damaged artifacts of an entry. If there are any, deletes them and the entry."""
        stored = self._index.read(key)
        if stored is None:
            self._index.drop(key)
            return ()
        with ThreadPoolExecutor(cores()) as pool:
            found = tuple(pool.map(_digest_of, (one.path for one in stored.artifacts)))
        damaged = [
            Damaged(stored.component, stored.version, one.name, one.digest, digest)
            for one, digest in zip(stored.artifacts, found, strict=True)
            if digest != one.digest
        ]
        if damaged:
            self._index.drop(key)
            for one in damaged:
                self._blobs.drop(one.expected)
        return damaged

    def _fetched(self, missing: Sequence[Component], reporter: Reporter) -> Iterator[Stored]:
        refusals: dict[str, list[tuple[SourceName, Refusal]]] = {one.name: [] for one in missing}
        for source in self._sources():
            if not missing:
                return
            work = self._work / source.name
            work.mkdir(parents=True)
            served = set[str]()
            with closing(source.serve(missing, work, reporter)) as answers:
                for answer in answers:
                    name = answer.component.name
                    if isinstance(answer, Refusal):
                        refusals[name].append((source.name, answer))
                        continue
                    why = [f"not from {n}: {refusal.reason}" for n, refusal in refusals[name]]
                    yield self._stored(answer, source.name, why, reporter)
                    served.add(name)
            missing = [one for one in missing if one.name not in served]
        needed = {one.name: refusals[one.name] for one in missing if not one.optional}
        if needed:
            raise _unserved(needed)
        for one in missing:
            why = [f"not from {n}: {refusal.reason}" for n, refusal in refusals[one.name]]
            yield self._without(one, why, reporter)

    def _sources(self) -> Iterator[ArtifactSource]:
        for name in self.sources.allowed:
            match name:
                case SourceName.DIR if self.sources.folder or len(self.sources.allowed) == 1:
                    yield FolderSource(self.sources.folder, self._lock)
                case SourceName.DIR:
                    pass  # no folder is configured, and other sources are allowed
                case SourceName.RELEASE:
                    yield ReleaseSource(Web(self.sources.rewrites, self.sources.ca), self._lock)
                case SourceName.GOBUILD:
                    yield GoBuildSource()

    def _stored(
        self, offer: Offer, source: SourceName, why: Sequence[str], reporter: Reporter
    ) -> Stored:
        name = offer.component.name
        with reporter.step(f"depot: {name}") as step:
            artifacts = []
            for new in offer.artifacts:
                digest, size = sha256_of(new.file), new.file.stat().st_size
                path = self._blobs.path(digest)
                artifacts.append(
                    Artifact(name, new.name, new.version, digest, size, path, new.mode)
                )
            for new, artifact in zip(offer.artifacts, artifacts, strict=True):
                self._blobs.take(new.file, artifact.digest)
            notes = (*offer.notes, *why)
            stored = Stored(name, offer.version, source, tuple(artifacts), notes, offer.locked)
            self._lock.keep(offer.locked)
            self._index.put(offer.component.key, stored)
            step.end(Outcome.CHANGED, "; ".join((f"{offer.version} from {source}", *notes)))
        return stored

    def _without(self, component: Component, why: Sequence[str], reporter: Reporter) -> Stored:
        name, version = component.name, component.versions[0]
        with reporter.step(f"depot: {name}") as step:
            stored = Stored(name, version, self.sources.allowed[-1], (), tuple(why))
            self._index.put(component.key, stored)
            step.end(Outcome.UNCHANGED, "; ".join(("nodes do without it", *why)))
        return stored

    @contextmanager
    def _alone(self, reporter: Reporter | None = None) -> Iterator[None]:
        """Hold the depot's lock, with an empty folder for files in progress."""
        lock = FileLock(self.root / "lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            _acquire(lock, reporter)
            # Files of a crashed fill: with the lock held, no other process works here.
            shutil.rmtree(self._work, ignore_errors=True)
            yield
        except OSError as error:
            raise PlexError(f"the depot {self.root}: {error}") from error
        finally:
            if lock.is_locked:
                shutil.rmtree(self._work, ignore_errors=True)
            lock.release()


def _acquire(lock: FileLock, reporter: Reporter | None) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        pass
    try:
        if reporter is None:
            lock.acquire(timeout=LOCK_SECONDS)
            return
        with reporter.step("wait until another plexctl releases the depot"):
            lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise PlexError(
            f"another plexctl has held the depot for {LOCK_SECONDS / 60:.0f} minutes",
            details=[f"its lock is {lock.lock_file}"],
        ) from error


def _digest_of(path: Path) -> str:
    return sha256_of(path) if path.exists() else NOTHING


def _unserved(refusals: dict[str, list[tuple[SourceName, Refusal]]]) -> PlexError:
    details: list[str] = []
    hints: list[str] = []
    for name, those in refusals.items():
        for source, refusal in those:
            details.append(f"{name}: {source}: {refusal.reason}")
            details += (f"    {line}" for line in refusal.details)
            hints += [refusal.hint] if refusal.hint else []
    return PlexError(
        f"no source can serve {', '.join(refusals)}",
        details=details,
        hint="; ".join(dict.fromkeys(hints)) or None,
    )
