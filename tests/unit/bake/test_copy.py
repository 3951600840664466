"""A baked image is copied to another host piece by piece, and only where it is missing."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from plexctl.bake.builder import BakedImage
from plexctl.bake.claims import labs_of
from plexctl.bake.copy import copy_image
from plexctl.errors import PlexError
from plexctl.model.observed import ObservedImage
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .host import LAB

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
    return copy_image(source, target, BAKED, LAB, reporter), reporter.titles


def labs(incus: FakeIncus) -> list[frozenset[str]]:
    return [labs_of(image) for image in incus.images.held]


@pytest.fixture
def source() -> FakeIncus:
    source = host("local", **{FINGERPRINT: (NAME,)})
    source.images.pieces[FINGERPRINT] = PIECES
    return source


def test_an_image_is_copied_with_its_fingerprint_and_name(source: FakeIncus) -> None:
    target = host("far")

    done, steps = copy(source, target)

    assert done == BakedImage(NAME, FINGERPRINT, changed=True)
    assert held(target) == {FINGERPRINT: (NAME,)}
    assert steps == [f"copy {NAME} to host far"]
    assert source.calls == [("images.exported", FINGERPRINT)]


def test_an_image_that_is_there_is_not_copied_again(source: FakeIncus) -> None:
    target = host("far", own=(NAME,))

    done, steps = copy(source, target)

    assert done == BakedImage(NAME, "own", changed=False)
    assert (steps, source.calls) == ([], [])


def test_an_image_without_its_name_gets_it_back(source: FakeIncus) -> None:
    target = host("far", **{FINGERPRINT: ()})

    done, _ = copy(source, target)

    assert done.changed
    assert held(target) == {FINGERPRINT: (NAME,)}
    assert source.calls == []


def test_only_the_lab_that_copies_an_image_uses_it_there(source: FakeIncus) -> None:
    """The tarball has the properties of the image, with the lab that baked it on this machine."""
    target = host("far")
    target.images.inside[FINGERPRINT] = {"plexctl.recipe": NAME, "plexctl.lab": "0" * 32}

    copy(source, target)

    assert labs(target) == [{LAB}]
    assert target.images.held[0].properties["plexctl.recipe"] == NAME


def test_a_lab_that_finds_an_image_there_is_added_to_its_users(source: FakeIncus) -> None:
    target = host("far", own=(NAME,))
    target.images.set_properties("own", {"plexctl.lab": "0" * 32})

    copy(source, target)

    assert labs(target) == [{"0" * 32, LAB}]


def test_damaged_bytes_are_refused(source: FakeIncus) -> None:
    source.images.pieces[FINGERPRINT] = (b"first ", b"damaged")
    target = host("far")

    with pytest.raises(PlexError, match="fingerprint"):
        copy(source, target)

    assert held(target) == {}
