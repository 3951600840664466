"""A baked image is carried to another host piece by piece, and only where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import pytest

from plexctl.bake.bake import BakedImage
from plexctl.bake.copy import carried
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import ObservedImage
from tests.null_reporter import NullReporter

NAME = "plex-kube-0123456789ab"
PIECES = (b"first ", b"second ", b"third")
FINGERPRINT = sha256(b"".join(PIECES)).hexdigest()
BAKED = BakedImage(NAME, FINGERPRINT, changed=False)


@dataclass
class Store:
    """Images by fingerprint, with their names, on a host that checks what it is given."""

    name: str
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = PIECES
    log: list[str] = field(default_factory=list)

    @property
    def host(self) -> HostSpec:
        return HostSpec(self.name, HostKind.INCUS, "", "default", 4)

    def images(self) -> tuple[ObservedImage, ...]:
        return tuple(ObservedImage(one, names, {}, 1) for one, names in self.held.items())

    @contextmanager
    def exported(self, fingerprint: str) -> Iterator[Iterator[bytes]]:
        assert fingerprint in self.held
        yield self._told(iter(self.pieces))
        self.log.append("closed")

    def _told(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.log.append("read")
            yield piece

    def receive(self, content: Iterator[bytes], fingerprint: str, name: str) -> None:
        digest = sha256()
        for piece in content:
            digest.update(piece)
        if digest.hexdigest() != fingerprint:
            raise PlexError("the fingerprint is another one")
        self.held[fingerprint] = (name,)

    def name_image(self, fingerprint: str, name: str) -> None:
        self.held[fingerprint] = (*self.held[fingerprint], name)


def carry(source: Store, target: Store) -> tuple[BakedImage, list[str]]:
    reporter = NullReporter()
    done = carried(cast(IncusHost, source), cast(IncusHost, target), BAKED, reporter)
    return done, reporter.titles


@pytest.fixture
def source() -> Store:
    return Store("local", {FINGERPRINT: (NAME,)})


def test_an_image_is_carried_with_its_fingerprint_and_name(source: Store) -> None:
    target = Store("far")

    done, steps = carry(source, target)

    assert done == BakedImage(NAME, FINGERPRINT, changed=True)
    assert target.held == {FINGERPRINT: (NAME,)}
    assert steps == [f"carry {NAME} to host far"]
    assert source.log == ["read", "read", "read", "closed"]


def test_one_that_is_there_is_not_carried_again(source: Store) -> None:
    target = Store("far", {"of its own": (NAME,)})

    done, steps = carry(source, target)

    assert done == BakedImage(NAME, "of its own", changed=False)
    assert (steps, source.log) == ([], [])


def test_one_that_lost_its_name_gets_it_back(source: Store) -> None:
    target = Store("far", {FINGERPRINT: ()})

    done, _ = carry(source, target)

    assert done.changed
    assert target.held == {FINGERPRINT: (NAME,)}
    assert source.log == []


def test_bytes_that_are_others_are_not_kept(source: Store) -> None:
    source.pieces = (b"first ", b"damaged")
    target = Store("far")

    with pytest.raises(PlexError, match="fingerprint"):
        carry(source, target)

    assert target.held == {}
