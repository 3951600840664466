"""The tags on objects: owner, hash and run. They are the same for both engines."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.settings import TAG, Settings, settings
from plexctl.plan.resources.types import Instance, Resource, resource_hash
from plexctl.provision.change import Change


def tags(resource: Resource, run: str, change: Change | None = None) -> dict[str, str]:
    """Tags of an object that `run` creates or updates.

    A worker also has the run that created its master: the one in `change` if the master stays,
    else this one.
    """
    found = {**resource.owner.tags, "hash": resource_hash(resource), "run": run}
    if isinstance(resource, Instance) and resource.parent:
        found["parent"] = (change.parent_run if change else None) or run
    return found


def tagged(config: Settings, tags: Mapping[str, str]) -> Settings:
    """`config` with tags as Incus config keys."""
    return settings({**dict(config), **{f"{TAG}{key}": value for key, value in tags.items()}})
