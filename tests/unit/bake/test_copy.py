"""A baked image is carried to another host piece by piece, and only where it is missing."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from plexctl.bake.bake import BakedImage
from plexctl.bake.copy import carried
from plexctl.errors import PlexError
from plexctl.model.observed import ObservedImage
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

NAME = "plex-kube-0123456789ab"
PIECES = (b"first ", b"second ", b"third")
FINGERPRINT = sha256(b"".join(PIECES)).hexdigest()
BAKED = BakedImage(NAME, FINGERPRINT, changed=False)


def host(name: str, **images: tuple[str, ...]) -> FakeIncus:
    """A host with images of these names, by fingerprint."""
    incus = FakeIncus(replace(LOCAL, name=name))
    incus.images.held = [ObservedImage(one, names, {}, 1) for one, names in images.items()]
    return incus


def held(incus: FakeIncus) -> dict[str, tuple[str, ...]]:
    return {image.fingerprint: image.names for image in incus.images.held}


def copy(source: FakeIncus, target: FakeIncus) -> tuple[BakedImage, list[str]]:
    reporter = NullReporter()
    return carried(source, target, BAKED, reporter), reporter.titles


@pytest.fixture
def source() -> FakeIncus:
    source = host("local", **{FINGERPRINT: (NAME,)})
    source.images.pieces[FINGERPRINT] = PIECES
    return source


def test_an_image_is_carried_with_its_fingerprint_and_name(source: FakeIncus) -> None:
    target = host("far")

    done, steps = copy(source, target)

    assert done == BakedImage(NAME, FINGERPRINT, changed=True)
    assert held(target) == {FINGERPRINT: (NAME,)}
    assert steps == [f"carry {NAME} to host far"]
    assert source.calls == [("images.exported", FINGERPRINT)]


def test_one_that_is_there_is_not_carried_again(source: FakeIncus) -> None:
    target = host("far", own=(NAME,))

    done, steps = copy(source, target)

    assert done == BakedImage(NAME, "own", changed=False)
    assert (steps, source.calls) == ([], [])


def test_one_that_lost_its_name_gets_it_back(source: FakeIncus) -> None:
    target = host("far", **{FINGERPRINT: ()})

    done, _ = copy(source, target)

    assert done.changed
    assert held(target) == {FINGERPRINT: (NAME,)}
    assert source.calls == []


def test_bytes_that_are_others_are_not_kept(source: FakeIncus) -> None:
    source.images.pieces[FINGERPRINT] = (b"first ", b"damaged")
    target = host("far")

    with pytest.raises(PlexError, match="fingerprint"):
        copy(source, target)

    assert held(target) == {}
