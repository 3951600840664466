"""The tags on objects: owner, hash and run. They are the same for both engines."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.settings import TAG, Settings, settings
from plexctl.plan.resources.types import Instance, Resource, resource_hash
from plexctl.provision.change import Change
from plexctl.provision.masters import BORN


def tags(resource: Resource, run: str, change: Change | None = None) -> dict[str, str]:
    """Tags of an object that `run` creates or updates.

    A worker also has the run in which its cluster began: the one in `change` if the cluster stays,
    else this one. So has a master that is one of several, or joined them.
    """
    found = {**resource.owner.tags, "hash": resource_hash(resource), "run": run}
    if isinstance(resource, Instance):
        began = (change.parent_run if change else None) or run
        if resource.parent:
            found["parent"] = began
        elif resource.masters > 1 or (change and change.joins):
            found[BORN] = began
    return found


def tagged(config: Settings, tags: Mapping[str, str]) -> Settings:
    """`config` with tags as Incus config keys."""
    return settings({**dict(config), **{f"{TAG}{key}": value for key, value in tags.items()}})
