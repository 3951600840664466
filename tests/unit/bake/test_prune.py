"""Images are deleted only if nothing uses or needs them."""

from __future__ import annotations

from plexctl.bake.prune import prune
from plexctl.model.observed import ObservedInstance
from tests.fake_incus import FakeIncus

BAKED = {"plexctl.recipe": "x"}


def test_images_that_a_plex_needs_or_an_instance_uses_stay() -> None:
    incus = FakeIncus()
    incus.images.add("plex-kube-wanted", properties=BAKED)
    has = incus.images.add("plex-kube-running", properties=BAKED)
    incus.images.add("plex-kube-old", properties=BAKED)
    incus.images.add("debian/12", properties={"os": "Debian"})
    incus.images.add(properties=BAKED)  # on its way to being one
    incus.instances.held["demo1"] = ObservedInstance("demo1", "Stopped", {}, True, has, "")

    assert prune(incus, {"plex-kube-wanted"}) == ("plex-kube-old",)

    assert incus.images.names() == {"plex-kube-wanted", "plex-kube-running", "debian/12"}
    assert len(incus.images.held) == 4
