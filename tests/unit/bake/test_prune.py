"""Images are removed only when nothing has or wants them."""

from __future__ import annotations

from typing import cast

from plexctl.bake.prune import prune
from plexctl.clients.incus.host import IncusHost
from plexctl.model.observed import ObservedInstance

from .host import FakeIncus

BAKED = {"plexctl.recipe": "x"}


def test_what_a_plex_wants_or_an_instance_has_stays() -> None:
    incus = FakeIncus()
    incus.have("plex-kube-wanted", properties=BAKED)
    has = incus.have("plex-kube-running", properties=BAKED)
    incus.have("plex-kube-old", properties=BAKED)
    incus.have("debian/12", properties={"os": "Debian"})
    incus.have(properties=BAKED)  # on its way to being one
    incus.seen["demo1"] = ObservedInstance("demo1", "Stopped", {}, True, has, "")

    assert prune(cast(IncusHost, incus), {"plex-kube-wanted"}) == ("plex-kube-old",)

    assert incus.names() == {"plex-kube-wanted", "plex-kube-running", "debian/12"}
    assert len(incus.stored) == 4
