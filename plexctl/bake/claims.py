"""Which labs use an image: each leaves its mark among the image's properties.

Labs whose recipes are the same share one image on a host. A lab marks the images of its plexes, and
all layers below, when it bakes or first uses them. `prune` takes its own marks away; an image that
another lab has marked stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from plexctl.model.host import Host
from plexctl.model.lab_id import is_lab
from plexctl.model.observed import IMAGE_LAB, IMAGE_USER, ObservedImage

USED = "yes"


def labs_of(image: ObservedImage) -> frozenset[str]:
    """The identifiers of the labs that use an image; of older versions, short ones."""
    marks = (key.removeprefix(IMAGE_USER) for key in image.properties if key.startswith(IMAGE_USER))
    baker = image.properties.get(IMAGE_LAB)
    return frozenset((*marks, *((baker,) if baker else ())))


def others(image: ObservedImage, lab: str, gone: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The labs that use an image, without `lab` and those of `gone`."""
    left_out = (lab, *gone)
    marks = (one for one in labs_of(image) if not any(is_lab(one, other) for other in left_out))
    return tuple(sorted(marks))


def is_claimed(image: ObservedImage, lab: str) -> bool:
    """Whether `lab` has marked an image under its whole identifier."""
    return lab in labs_of(image)


def claim(host: Host, found: Iterable[ObservedImage], names: Iterable[str], lab: str) -> None:
    """Mark those of the images `found` that have one of `names` as used by `lab`."""
    wanted = frozenset(names)
    for image in found:
        if wanted & set(image.names) and not is_claimed(image, lab):
            host.set_image_properties(image.fingerprint, {f"{IMAGE_USER}{lab}": USED})


def release(host: Host, image: ObservedImage, lab: str) -> None:
    """Take the marks of `lab` from an image."""
    marks: dict[str, str | None] = {
        key: None
        for key, value in image.properties.items()
        if (key.startswith(IMAGE_USER) and is_lab(key.removeprefix(IMAGE_USER), lab))
        or (key == IMAGE_LAB and is_lab(value, lab))
    }
    if marks:
        host.set_image_properties(image.fingerprint, marks)
