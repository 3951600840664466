"""Templates of a Proxmox host are deleted only if no lab uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from plexctl.bake.claims import claim, is_claimed, labs_of
from plexctl.bake.prune import prune
from plexctl.bake.vztmpl import find_archive
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.model.observed import ObservedImage
from tests.fake_pve import FakePve
from tests.proxmox import client_of, documented_privileges, with_login, with_template

from .host import LAB

OTHER = LAB[:8] + "f" * 24
IMAGE = "plex-kube-0123456789ab"
OLD = "plex-kube-ba9876543210"

Bake = Callable[[str, str], object]


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.01) as fake:
        yield fake


@pytest.fixture
def server(pve: FakePve) -> ProxmoxHost:
    """With no more privileges than the documentation gives a lab."""
    return with_login(client_of(pve, documented_privileges()), "root@pve1.test:2222")


@pytest.fixture(params=["vm", "container"])
def bake(request: pytest.FixtureRequest, pve: FakePve, server: ProxmoxHost) -> Bake:
    """Creates the template of an image, as a lab does."""

    def archive(image: str, lab: str) -> None:
        pve.add_volume(f"local:vztmpl/plexctl-{lab}-{image}.tar.gz", b"archive")

    return partial(with_template, server) if request.param == "vm" else archive


def images(server: ProxmoxHost) -> dict[str, ObservedImage]:
    return {name: one for one in server.read().images for name in one.names}


def test_a_template_that_another_lab_baked_stays(server: ProxmoxHost, bake: Bake) -> None:
    bake(IMAGE, OTHER)
    done = prune(server, set(), LAB)
    assert (done.deleted, done.kept) == ((), {IMAGE: f"lab {OTHER} uses it"})
    assert prune(server, set(), OTHER).deleted == (IMAGE,)


def test_a_template_that_another_lab_uses_stays_until_that_lab_prunes(
    server: ProxmoxHost, pve: FakePve, bake: Bake
) -> None:
    bake(IMAGE, LAB)
    bake(OLD, LAB)
    for _ in range(2):
        claim(server, server.read().images, (IMAGE,), OTHER)
    assert labs_of(images(server)[IMAGE]) == {LAB, OTHER}

    done = prune(server, set(), LAB)

    assert (done.deleted, done.kept) == ((OLD,), {IMAGE: f"lab {OTHER} uses it"})
    assert labs_of(images(server)[IMAGE]) == {OTHER}
    assert prune(server, set(), OTHER).deleted == (IMAGE,)
    assert images(server) == {}
    assert [one for one in server.storage.volumes() if "plexctl-" in one] == []


def test_the_lab_that_baked_a_template_may_use_it_again(server: ProxmoxHost, bake: Bake) -> None:
    bake(IMAGE, LAB)
    claim(server, server.read().images, (IMAGE,), OTHER)
    prune(server, set(), LAB)
    claim(server, server.read().images, (IMAGE,), LAB)
    assert prune(server, set(), OTHER).deleted == ()
    assert prune(server, set(), LAB).deleted == (IMAGE,)


def test_marks_of_labs_whose_folder_is_gone_do_not_count(server: ProxmoxHost, bake: Bake) -> None:
    bake(IMAGE, LAB)
    claim(server, server.read().images, (IMAGE,), OTHER)
    assert prune(server, set(), LAB, frozenset({OTHER})).deleted == (IMAGE,)
    assert [one for one in server.storage.volumes() if "plexctl-" in one] == []


def test_a_bake_that_finds_a_template_of_another_lab_marks_it(
    server: ProxmoxHost, pve: FakePve
) -> None:
    volume = f"local:vztmpl/plexctl-{OTHER}-{IMAGE}.tar.gz"
    pve.add_volume(volume, b"archive")
    for _ in range(2):
        found = find_archive(server, IMAGE, LAB)
        assert found is not None
        assert found.fingerprint == volume
    assert is_claimed(images(server)[IMAGE], LAB)
    assert is_claimed(images(server)[IMAGE], OTHER)
    assert list(images(server)) == [IMAGE]
    assert prune(server, set(), OTHER).deleted == ()
    assert find_archive(server, IMAGE, LAB) is not None


def test_a_mark_of_a_template_that_is_gone_is_no_error(server: ProxmoxHost, bake: Bake) -> None:
    bake(IMAGE, LAB)
    found = server.read().images
    server.delete_image(found[0].fingerprint)
    claim(server, found, (IMAGE,), OTHER)
    assert server.read().images == ()
