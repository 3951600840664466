"""The tags that say whose an object is, and of which run: the same whatever engine writes them."""

from __future__ import annotations

from plexctl.model.settings import TAG, Settings, settings
from plexctl.plan.resources.types import Resource, resource_hash


def tags(resource: Resource, run: str, parent: str | None = None) -> dict[str, str]:
    """Of an object made or changed by `run`; `parent` is the run that made its master."""
    found = {
        "lab": resource.owner.lab,
        "plex": resource.owner.plex,
        "hash": resource_hash(resource),
        "run": run,
    }
    return {**found, "parent": parent} if parent else found


def tagged(config: Settings, given: dict[str, str]) -> Settings:
    """`config` with tags as Incus config keys."""
    return settings({**dict(config), **{f"{TAG}{key}": value for key, value in given.items()}})
