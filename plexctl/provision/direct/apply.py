"""Apply changes to hosts: the order of the calls, as tasks that depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from plexctl.model.host import Host
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, Change
from plexctl.provision.direct.applier import applier_of
from plexctl.provision.direct.tasks import Task, TaskId, run_tasks
from plexctl.provision.engine import ApplyJob

USERS: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.INSTANCE: (),
    Kind.PROFILE: (Kind.INSTANCE,),
    Kind.NETWORK: (Kind.INSTANCE, Kind.PROFILE),
    Kind.ACL: (Kind.NETWORK,),
    Kind.VOLUME: (Kind.INSTANCE,),
}
"""The kinds of objects that use one of a kind, and are deleted before it."""


def apply(hosts: Mapping[str, Host], job: ApplyJob) -> None:
    """Apply the changes of `job` to `hosts`. Deletions come first on each host.

    A new worker may wait for its master's start, and the master for the deletion of all its
    old workers: these must not wait for a place behind new workers.
    """
    names = {change.host for change in job.changes}
    appliers = {name: applier_of(hosts[name], job) for name in names}
    deletions, others = [], list[Task]()
    starts: list[tuple[Key, Callable[[], None]]] = []  # of masters of a new cluster
    for change in job.changes:
        applier = appliers[change.host]
        if change.deletes:
            work, first = partial(applier.delete, change), _before_deletion(change, job.changes)
            deletions.append(Task(TaskId(change.key, deletes=True), work, tuple(first)))
        if change.resource is None:
            continue
        needs = tuple(_before_put(change, change.resource, job.changes))
        if isinstance(change.resource, Instance) and _begins_with_others(change):
            work = partial(applier.create, change, change.resource)
            others.append(Task(TaskId(change.key, creates=True), work, needs))
            starts.append((change.key, partial(applier.start, change.resource)))
        else:
            work = partial(applier.put, change, change.resource)
            others.append(Task(TaskId(change.key), work, needs))
    created = tuple(TaskId(key, creates=True) for key, _ in starts)
    # They come before the workers, which may wait for them.
    others[:0] = [Task(TaskId(key), start, created) for key, start in starts]
    limits = {name: hosts[name].spec.parallel for name in names}
    run_tasks((*deletions, *others), limits)


def _before_put(change: Change, resource: Resource, changes: Sequence[Change]) -> Iterator[TaskId]:
    """The objects that a resource needs, and the deletions before its creation.

    A new master also waits until earlier nodes are deleted: their keys are valid, and they would
    register with the new cluster.
    """
    yield from map(TaskId, resource.needs)
    yield TaskId(change.key, deletes=True)
    for other in changes:
        earlier = other.parent == change.key or _begins_with_others(change)
        if other.is_instance and other.deletes and earlier:
            yield TaskId(other.key, deletes=True)


def _begins_with_others(change: Change) -> bool:
    """Whether `change` creates a master of a new cluster that has several.

    All of them are created before the first one is started. So if a run is interrupted, either none
    was started, or each has the files of the same cluster.
    """
    new = change.action in (Action.CREATE, Action.REPLACE) and not change.joins
    return isinstance(change.resource, Instance) and change.resource.masters > 1 and new


def _before_deletion(change: Change, changes: Sequence[Change]) -> Iterator[TaskId]:
    """The deletions of all objects that may use this one."""
    for other in changes:
        if other.deletes and other.kind in USERS[change.kind]:
            yield TaskId(other.key, deletes=True)
