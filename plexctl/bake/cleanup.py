"""Tags of the temporary objects of a bake, and the cleanup that finds objects by these tags."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.observed import SHARED
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.observed import ObservedVolume, Tagged
from plexctl.model.settings import TAG
from plexctl.plan.recipes import Recipe
from plexctl.plan.resources.incus import SEED

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
        f"{PROPERTY}lab": lab,
        **({SHARED: "yes"} if recipe.shared else {}),
    }


def tags(recipe: Recipe, lab: str) -> dict[str, str]:
    """Incus config keys of an instance or a network that exists only while its bake runs."""
    return {f"{TAG}lab": lab, f"{TAG}bake": recipe.name}


def sweep(incus: IncusHost, lab: str) -> None:
    """Delete what interrupted bakes of `lab` have left on a host. The caller holds the lock."""
    state = incus.read()
    instances = _tagged(state.instances, lab)
    if instances:
        # The server goes on publishing when its client is gone, and would let the instance go.
        wait(_published(incus))
    for name in instances:
        incus.delete_instance(name)
    for name in _tagged(state.networks, lab):
        incus.networks.delete(name)
    for name in (*_tagged(state.volumes, lab), *_untagged_seeds(state.volumes)):
        incus.delete_volume(name)
    for image in incus.images.list():
        if not image.names and image.properties.get(f"{PROPERTY}lab") == lab:
            incus.delete_image(image.fingerprint)


def _tagged(seen: Mapping[str, Tagged], lab: str) -> list[str]:
    ours = ((name, one.tags) for name, one in seen.items() if one.tags.get("lab") == lab)
    return [name for name, tags in ours if "bake" in tags and "image" not in tags]


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
