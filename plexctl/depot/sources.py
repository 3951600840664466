"""The sources of components, and their answers to the depot."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plexctl.depot.components import Component, SourceName
from plexctl.model.events import Reporter


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that a depot may use, and their settings.

    `folder` is for the source `dir`; `lock` is the lab's depot.lock; `rewrites` replace the
    beginning of a URL (a mirror); `ca` is a file of certificates to trust instead of the system's.
    """

    folder: Path | None = None
    lock: Path | None = None
    rewrites: tuple[tuple[str, str], ...] = ()
    ca: Path | None = None
    allowed: tuple[SourceName, ...] = tuple(SourceName)


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """One artifact that its source has verified. The depot moves `file` away."""

    name: str
    version: str
    file: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole component from one source.

    `locked` are digests for depot.lock, of what no pin has a digest of; `notes` are for the user.
    """

    component: Component
    version: str
    artifacts: tuple[NewArtifact, ...]
    locked: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a source cannot serve a component, in one line, and a hint if there is one."""

    component: Component
    reason: str
    details: tuple[str, ...] = ()
    hint: str | None = None


Answers = Generator[Offer | Refusal, None, None]


class ArtifactSource(Protocol):
    """A source. It raises only when bytes are wrong; otherwise it answers with a Refusal."""

    name: SourceName

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        """Answer once for each of `wanted`. The depot deletes the empty folder `work` later."""
