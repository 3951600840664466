"""The engine `direct`: calls to the hosts' own APIs. The objects on the hosts are all its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from plexctl.model.host import Host
from plexctl.model.observed import HostState
from plexctl.model.resources import Kind
from plexctl.plan.resources.types import Resource
from plexctl.provision.change import Change, DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.direct.claim import claim_bare_clones
from plexctl.provision.direct.tasks import Task, TaskId, run_tasks
from plexctl.provision.engine import ApplyJob
from plexctl.provision.read import read_hosts

USERS: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.INSTANCE: (),
    Kind.PROFILE: (Kind.INSTANCE,),
    Kind.NETWORK: (Kind.INSTANCE, Kind.PROFILE),
    Kind.VOLUME: (Kind.INSTANCE,),
}
"""The kinds of objects that use one of a kind, and are deleted before it."""


@dataclass(frozen=True, slots=True)
class DirectEngine:
    """One client per host. Each host sets how many objects are changed on it at once."""

    hosts: Mapping[str, Host]

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return read_hosts(self.hosts, hosts)

    def diff(
        self, resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return diff(resources, claim_bare_clones(states, options.owner), options)

    def apply(self, job: ApplyJob) -> None:
        """Deletions come first on each host.

        A new worker may wait for its master's start, and the master for the deletion of all its
        old workers: these must not wait for a place behind new workers.
        """
        from plexctl.provision.direct.applier import applier_of  # `plan` and `status` apply nothing

        names = {change.host for change in job.changes}
        appliers = {name: applier_of(self.hosts[name], job) for name in names}
        deletions, others = [], []
        for change in job.changes:
            applier = appliers[change.host]
            if change.deletes:
                work, needs = partial(applier.delete, change), _before_deletion(change, job.changes)
                deletions.append(Task(TaskId(change.key, deletes=True), work, tuple(needs)))
            if change.resource is not None:
                work = partial(applier.put, change, change.resource)
                needs = _before_put(change, change.resource, job.changes)
                others.append(Task(TaskId(change.key), work, tuple(needs)))
        limits = {name: self.hosts[name].spec.parallel for name in names}
        run_tasks((*deletions, *others), limits)


def _before_put(change: Change, resource: Resource, changes: Sequence[Change]) -> Iterator[TaskId]:
    """The objects that a resource needs, and the deletions before its creation.

    A new master also waits until earlier workers are deleted: their keys are valid, and they would
    register with the new cluster.
    """
    yield from map(TaskId, resource.needs)
    yield TaskId(change.key, deletes=True)
    for other in changes:
        if other.is_instance and other.parent == change.key and other.deletes:
            yield TaskId(other.key, deletes=True)


def _before_deletion(change: Change, changes: Sequence[Change]) -> Iterator[TaskId]:
    """The deletions of all objects that may use this one."""
    for other in changes:
        if other.deletes and other.kind in USERS[change.kind]:
            yield TaskId(other.key, deletes=True)
