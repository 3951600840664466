"""Tags of the temporary objects of a bake, and the cleanup that finds objects by these tags."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.bake.baker import BAKER, left_behind, this_process
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.observed import SHARED
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.lab_id import is_lab
from plexctl.model.observed import IMAGE_LAB, HostState, ObservedVolume, Tagged
from plexctl.model.settings import SEED, TAG
from plexctl.plan.recipes import Recipe

PROPERTY = "plexctl."
"""Prefix of the properties that describe a baked image."""

BAKE = "plex-bake-"
"""Prefix of the names of instances that images are baked in."""


def properties(recipe: Recipe, lab: str) -> dict[str, str]:
    """Properties of an image: of the finished one, and of the nameless one it is baked from."""
    return {
        f"{PROPERTY}recipe": recipe.name,
        f"{PROPERTY}layer": recipe.layer.name,
        f"{PROPERTY}kubernetes": recipe.kubernetes,
        IMAGE_LAB: lab,
        **({SHARED: "yes"} if recipe.shared else {}),
    }


def tags(recipe: Recipe, lab: str) -> dict[str, str]:
    """Incus config keys of an instance or a network that exists only while its bake runs."""
    own = {"lab": lab, **temporary_tags(recipe.name)}
    return {f"{TAG}{key}": value for key, value in own.items()}


def temporary_tags(what: str) -> dict[str, str]:
    """Tags of an object that exists only while this process bakes `what`: others may delete it."""
    return {"bake": what, BAKER: str(this_process())}


def root_properties(recipe: Recipe, lab: str) -> dict[str, str]:
    """Properties of the nameless image that a bake begins with."""
    return {**properties(recipe, lab), f"{PROPERTY}{BAKER}": str(this_process())}


def needs_cleanup(state: HostState) -> bool:
    """Whether a host has what a bake left, of whatever lab, whose process has surely ended."""
    objects: tuple[Tagged, ...] = (
        *state.instances.values(),
        *state.networks.values(),
        *state.acls.values(),
        *state.profiles.values(),
        *state.volumes.values(),
    )
    return any(
        _is_temporary(one) and BAKER in one.tags and left_behind(one.tags, ours=False)
        for one in objects
    )


def sweep(incus: IncusHost, lab: str) -> None:
    """Delete what interrupted bakes have left on a host. The caller holds the lock.

    Of other labs only what a process left that has surely ended.
    """
    state = incus.read()
    instances = _tagged(state.instances, lab)
    if instances:
        # The server goes on publishing when its client is gone, and would let the instance go.
        wait(_published(incus))
    for name in instances:
        incus.delete_instance(name)
    for name in _tagged(state.profiles, lab):
        incus.profiles.delete(name)
    for name in _tagged(state.networks, lab) if not state.confined else ():
        incus.networks.delete(name)
    for name in _tagged(state.acls, lab) if not state.confined else ():
        incus.acls.delete(name)
    for name in (*_tagged(state.volumes, lab), *_untagged_seeds(state.volumes)):
        incus.delete_volume(name)
    for image in incus.images.list():
        if not image.names and IMAGE_LAB in image.properties:
            tags = {BAKER: image.properties.get(f"{PROPERTY}{BAKER}", "")}
            if left_behind(tags, ours=is_lab(image.properties[IMAGE_LAB], lab)):
                incus.delete_image(image.fingerprint)


def _tagged(seen: Mapping[str, Tagged], lab: str) -> list[str]:
    return [
        name
        for name, one in seen.items()
        if _is_temporary(one) and left_behind(one.tags, ours=is_lab(one.tags.get("lab"), lab))
    ]


def _is_temporary(one: Tagged) -> bool:
    """Whether an object exists only while its bake runs."""
    return "bake" in one.tags and "image" not in one.tags


def _untagged_seeds(volumes: Mapping[str, ObservedVolume]) -> list[str]:
    """Seeds without tags: a seed gets its tags a moment after it was created."""
    found = ((name, one) for name, one in volumes.items() if one.disc and not one.tags)
    return [name for name, _ in found if name.startswith(BAKE) and name.endswith(SEED)]


def _published(incus: IncusHost) -> Condition:
    return Condition(
        f"host {incus.name} has published the images of an interrupted bake",
        probe=lambda: Observation(not incus.images.publishing()),
        deadline=600,
    )
