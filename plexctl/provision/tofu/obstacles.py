"""Delete obstacles before OpenTofu starts: objects of the same names that its state lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from plexctl.model.observed import HostState
from plexctl.model.resources import Kind
from plexctl.plan.resources.types import Instance
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob, require_image
from plexctl.provision.tofu.importing import created_keys
from plexctl.provision.tofu.provider import Provider, ProviderTraits
from plexctl.provision.tofu.state import TofuState

EARLY_WORKERS = 4
"""This many workers may start beside a master that boots."""

_Observed = TypeVar("_Observed")


def delete_obstacles(
    direct: DirectEngine, provider: Provider, state: TofuState, job: ApplyJob
) -> ApplyJob:
    """Delete objects that the plan lacks or that obstruct OpenTofu; returns the remaining job."""
    options = DiffOptions(
        job.wanted[0].owner, frozenset(c.key for c in job.changes if c.action is Action.REPLACE)
    )
    deletions = [change for change in job.changes if change.resource is None]
    while deletions := [*deletions, *_obstacles(provider, state, job)]:
        direct.apply(replace(job, wanted=(), changes=tuple(deletions), gate=None))
        states = _without(job.states, deletions)
        left = direct.diff(job.wanted, states, options)
        changes = tuple(change for change in left if change.resource is not None)
        job, deletions = replace(job, changes=changes, states=states), []
    return job


def held_back_worker(changes: Sequence[Change]) -> Instance | None:
    """The last worker that starts, if so many do that a booting master would suffer from them.

    The masters are applied first then, and this worker must wait until it may start.
    """
    starting = [
        change.resource
        for change in changes
        if isinstance(change.resource, Instance)
        and change.resource.parent
        and change.action is not Action.UPDATE
    ]
    return starting[-1] if len(starting) > EARLY_WORKERS else None


def require_images(traits: ProviderTraits, job: ApplyJob) -> None:
    """PlexError if a host does not have the image of a node that is created or replaced on it."""
    created = created_keys(job)
    for change in job.changes:
        one = change.resource
        if change.key in created and isinstance(one, Instance):
            require_image(job.states[one.host], one.image, traits.image)


def _obstacles(provider: Provider, state: TofuState, job: ApplyJob) -> Iterator[Change]:
    nodes = [one for one in job.wanted if isinstance(one, Instance)]
    there = [one for one in nodes if job.states[one.host].find(one.key) is not None]
    # The state may have the address of a clone without a configuration, but not its number.
    unknown = [
        one
        for one in there
        if provider.address(one) not in state.addresses or _is_bare(one, job.states)
    ]
    reasons = {c.key: c.reason for c in job.changes if c.action is Action.REPLACE}
    suspects = [one for one in unknown if one.key not in reasons]
    incomplete = provider.incomplete(suspects, job.changes)
    reasons |= dict.fromkeys(incomplete, "creation was interrupted")
    if held_back_worker(job.changes):
        # Masters are applied first: OpenTofu would delete their old workers only after that.
        unknown += [one for one in there if one.parent and one not in unknown]
    deleted = [one for one in unknown if one.key in reasons]
    for one in deleted:
        yield Change(Action.DELETE, one.key, reasons[one.key], None)
    created = {c.key for c in job.changes if c.action is Action.CREATE}
    created |= {one.key for one in deleted}
    coming = [one for one in nodes if one.key in created]
    yield from provider.obstacles(coming, job.states, state.addresses)


def _is_bare(instance: Instance, states: Mapping[str, HostState]) -> bool:
    """Whether a machine has only the name, and no tag that names its owner."""
    observed = states[instance.host].find(instance.key)
    return observed is not None and "plex" not in observed.tags


def _without(states: Mapping[str, HostState], deleted: Sequence[Change]) -> dict[str, HostState]:
    """`states` after these deletions."""
    left = dict(states)
    for change in deleted:
        state = left[change.host]
        left[change.host] = replace(
            state,
            instances=_but(state.instances, change, Kind.INSTANCE),
            networks=_but(state.networks, change, Kind.NETWORK),
            acls=_but(state.acls, change, Kind.ACL),
            profiles=_but(state.profiles, change, Kind.PROFILE),
            volumes=_but(state.volumes, change, Kind.VOLUME),
        )
    return left


def _but(found: Mapping[str, _Observed], change: Change, kind: Kind) -> dict[str, _Observed]:
    return {name: one for name, one in found.items() if (kind, name) != (change.kind, change.name)}
