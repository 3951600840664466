"""Where components come from, and what a source hands to the depot."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from plexctl.depot.components import Component
from plexctl.model.events import Reporter


class SourceName(StrEnum):
    """In the order in which they are asked."""

    DIR = "dir"
    RELEASE = "release"
    GOBUILD = "gobuild"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a depot may fill itself from.

    `lock` is the lab's depot.lock; `rewrites` replace the beginning of a URL (a mirror); `ca` is a
    file of certificates to trust instead of the usual ones.
    """

    carried: Path | None = None
    lock: Path | None = None
    rewrites: tuple[tuple[str, str], ...] = ()
    ca: Path | None = None
    allowed: tuple[SourceName, ...] = tuple(SourceName)


@dataclass(frozen=True, slots=True)
class Made:
    """One artifact, verified by its source, as a file that the depot may take away."""

    name: str
    version: str
    file: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole component from one source.

    `locked` are digests that no pin has, for depot.lock; `notes` say what a user should know.
    """

    component: Component
    version: str
    made: tuple[Made, ...]
    locked: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a source cannot serve a component: in one line, and with what helps where it is known."""

    component: Component
    reason: str
    details: tuple[str, ...] = ()
    hint: str | None = None


Answers = Generator[Offer | Refusal, None, None]


class ArtifactSource(Protocol):
    """One of the three. It raises only when bytes are wrong; what it cannot do, it refuses."""

    name: SourceName

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        """Answer once for each of `wanted`. `work` is an empty folder that is removed later."""
