"""Images are deleted only if nobody on the host uses or needs them."""

from __future__ import annotations

from dataclasses import replace

from plexctl.bake.claims import claim, is_claimed, labs_of
from plexctl.bake.prune import prune
from plexctl.model.observed import ObservedInstance
from tests.fake_incus import LOCAL, FakeIncus

from .host import LAB

OTHER = LAB[:8] + "f" * 24
"""Of a lab whose identifier begins the same."""


def baked(name: str, *labs: str, lab: str = LAB) -> dict[str, str]:
    """The properties of an image that `lab` baked and that `labs` use."""
    return {
        "plexctl.recipe": name,
        "plexctl.lab": lab,
        **{f"plexctl.lab.{one}": "yes" for one in labs},
    }


def add(incus: FakeIncus, name: str, *labs: str, lab: str = LAB) -> str:
    return incus.images.add(name, properties=baked(name, *labs, lab=lab))


def instance(image: str) -> ObservedInstance:
    return ObservedInstance("demo1", "Stopped", {}, True, image, "")


def test_images_that_a_plex_needs_or_an_instance_uses_stay() -> None:
    incus = FakeIncus()
    add(incus, "plex-kube-wanted")
    incus.instances.held["demo1"] = instance(add(incus, "plex-kube-running"))
    add(incus, "plex-kube-old")
    incus.images.add("debian/12", properties={"os": "Debian"})
    incus.images.add(properties=baked("plex-kube-new"))  # on its way to being one

    assert prune(incus, {"plex-kube-wanted"}, LAB).deleted == ("plex-kube-old",)

    assert incus.images.names() == {"plex-kube-wanted", "plex-kube-running", "debian/12"}
    assert len(incus.images.held) == 4


def test_an_image_that_another_lab_baked_or_uses_stays_without_our_mark() -> None:
    """`destroy --images` deleted the images of a lab whose plexes were not up."""
    incus = FakeIncus()
    add(incus, "plex-kube-theirs", lab=OTHER)
    add(incus, "plex-kube-both", LAB, OTHER)

    done = prune(incus, set(), LAB)

    assert done.deleted == ()
    assert done.kept == {
        "plex-kube-theirs": f"lab {OTHER} uses it",
        "plex-kube-both": f"lab {OTHER} uses it",
    }
    assert [labs_of(image) for image in incus.images.held] == [{OTHER}, {OTHER}]
    assert set(prune(incus, set(), OTHER).deleted) == {"plex-kube-theirs", "plex-kube-both"}


def test_an_image_of_an_instance_in_another_project_stays() -> None:
    incus = FakeIncus()
    incus.instances.elsewhere.append(instance(add(incus, "plex-kube-old")))

    assert prune(incus, set(), LAB).deleted == ()


def test_an_image_that_somebody_has_given_another_name_stays() -> None:
    incus = FakeIncus()
    add(incus, "plex-kube-old")
    incus.images.set_name("image0", "golden")

    assert prune(incus, set(), LAB).kept == {"plex-kube-old": "it is also called golden"}


def test_in_a_project_of_its_own_a_lab_has_no_regard_to_others() -> None:
    """An administrator may have copied images there, with the marks of the labs that use them."""
    incus = FakeIncus(replace(LOCAL, url="https://127.0.0.1:8443", project="plexctl-1a2b"))
    add(incus, "plex-kube-copied", lab=OTHER)
    assert prune(incus, set(), LAB).deleted == ("plex-kube-copied",)


def test_marks_of_labs_whose_folder_is_gone_do_not_count() -> None:
    """Nobody could delete the images of a lab that was deleted with its folder."""
    incus = FakeIncus()
    add(incus, "plex-kube-old", OTHER, lab=LAB)
    assert prune(incus, set(), LAB, frozenset({"0" * 32})).deleted == ()
    assert prune(incus, set(), LAB, frozenset({OTHER})).deleted == ("plex-kube-old",)


def test_an_image_of_an_older_version_is_the_lab_s_own() -> None:
    incus = FakeIncus()
    add(incus, "plex-kube-old", lab=LAB[:8])
    assert prune(incus, set(), LAB).deleted == ("plex-kube-old",)


def test_a_lab_marks_an_image_once() -> None:
    incus = FakeIncus()
    add(incus, "plex-kube", lab=OTHER)
    add(incus, "plex-other", lab=OTHER)
    for _ in range(2):
        claim(incus, tuple(incus.images.held), ("plex-kube",), LAB)

    assert incus.names("images.set_properties") == ["image0"]
    assert [is_claimed(image, LAB) for image in incus.images.held] == [True, False]
