"""The tags that OpenTofu writes on each object."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.resources import Key
from plexctl.provision.change import Action
from plexctl.provision.engine import ApplyJob
from plexctl.provision.tags import tags

Tags = Mapping[Key, Mapping[str, str]]
"""The tags of each resource by its key."""

TAGGING = (Action.CREATE, Action.REPLACE, Action.UPDATE)


def tags_by_key(job: ApplyJob) -> dict[Key, dict[str, str]]:
    """New tags for resources that change; all others keep the tags that they have.

    So a run that changes nothing gives OpenTofu nothing to change.
    """
    changed = {change.key: change for change in job.changes}
    found = {}
    for resource in job.wanted:
        change = changed.get(resource.key)
        observed = job.states[resource.host].find(resource.key)
        if observed is not None and (change is None or change.action not in TAGGING):
            found[resource.key] = dict(observed.tags)
        else:
            found[resource.key] = tags(resource, job.run, change)
    return found
