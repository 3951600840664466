"""Delete baked images that nothing uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.bake.claims import others, release
from plexctl.bake.cleanup import PROPERTY
from plexctl.model.host import Host
from plexctl.model.observed import ObservedImage


@dataclass(frozen=True, slots=True)
class PrunedImages:
    """Names of images: those that were deleted, and unused ones that stay, with the reason."""

    deleted: tuple[str, ...]
    kept: Mapping[str, str]


def why_used(image: ObservedImage, lab: str, gone: frozenset[str]) -> str | None:
    """Who else than `lab` and the labs of `gone` uses an image; None if nobody does."""
    if labs := others(image, lab, gone):
        return f"lab {', '.join(labs)} uses it"
    recipe = image.properties.get(f"{PROPERTY}recipe")
    if names := [name for name in image.names if recipe and name != recipe]:
        return f"it is also called {', '.join(names)}"
    return None


def prune(host: Host, used: set[str], lab: str, gone: frozenset[str] = frozenset()) -> PrunedImages:
    """Delete the images that `lab` baked or used, and that nobody uses any more.

    `used` are names of images that plexes of `lab` need. Images of instances stay, in whatever
    project. So do those that other labs use, without the mark of `lab`. Marks of labs that are
    `gone` do not count. An image without a name belongs to a bake that is under way, or is deleted
    by the next one.
    """
    state, running = host.read(), host.images_in_use()
    deleted, kept = [], {}
    for image in state.images:
        baked = any(key.startswith(PROPERTY) for key in image.properties)
        if not (image.names and baked) or image.fingerprint in running or used & set(image.names):
            continue
        # The images of a project that the lab is confined to are its own, also copied ones.
        if not state.confined and (reason := why_used(image, lab, gone)):
            kept[image.names[0]] = reason
            release(host, image, lab)
            continue
        for name in set(image.names) & set(state.volumes):
            host.delete_volume(name)
        host.delete_image(image.fingerprint)
        deleted.append(image.names[0])
    return PrunedImages(tuple(deleted), kept)
