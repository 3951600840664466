"""The changes from what hosts have to what a plan wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from plexctl.errors import PlexError
from plexctl.model.kept import KEPT, is_kept
from plexctl.model.nodes import natural
from plexctl.model.observed import RUNNING, HostState, ObservedInstance
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Instance, Owner, Resource, resource_hash
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.masters import ControlPlane, control_plane
from plexctl.provision.seeds import foreign_seeds, permanent, unwanted_seeds

ADMINISTRATORS = frozenset({Kind.NETWORK, Kind.ACL})
"""Kinds of objects that a lab cannot change on a host where it is confined to a project."""


def diff(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> tuple[Change, ...]:
    """Changes in the order of the resources, then deletions of what the plan does not have.

    Hosts that do not answer have no changes. PlexError lists all objects of other owners that
    have a name of the plan, and all that an administrator of a host has to create.
    """
    on_reachable_hosts = [r for r in resources if states[r.host].unreachable is None]
    _refuse_foreign(on_reachable_hosts, states, options)
    if resources:  # all objects of the plex are deleted otherwise, and kept nodes are of them
        _refuse_kept(states, options.owner)
    _require_administrators(on_reachable_hosts, states)
    masters = control_plane(resources, states, options.owner, options.replace)
    changes: dict[Key, Change] = {}
    for resource in on_reachable_hosts:
        if states[resource.host].confined and resource.kind in ADMINISTRATORS:
            continue
        change = _change(resource, states, options, changes, masters)
        if change:
            changes[resource.key] = change
    unwanted = _unwanted(resources, states, options)
    return (*changes.values(), *unwanted, *unwanted_seeds(resources, states, options.owner))


def _change(
    resource: Resource,
    states: Mapping[str, HostState],
    options: DiffOptions,
    before: Mapping[Key, Change],
    masters: ControlPlane,
) -> Change | None:
    if isinstance(resource, Instance):
        return _instance(resource, states, options, before, masters)
    observed = states[resource.host].find(resource.key)
    if observed is None:
        return Change(Action.CREATE, resource.key, "missing", resource)
    if observed.tags.get("hash") != resource_hash(resource):
        return Change(Action.UPDATE, resource.key, "changed", resource)
    return None


def _instance(
    instance: Instance,
    states: Mapping[str, HostState],
    options: DiffOptions,
    before: Mapping[Key, Change],
    masters: ControlPlane,
) -> Change | None:
    observed = states[instance.host].instances.get(instance.name)
    if instance.masters and masters.several:
        requested = instance.key in options.replace
        found = masters.change(instance, observed, requested=requested)
        if found is None:
            return None
        action, why = found
        joins = action is not Action.START
        return Change(action, instance.key, why, instance, masters.born, joins)
    parent = before.get(instance.parent) if instance.parent else None
    parent_is_new = parent is not None and parent.action is not Action.START and not parent.joins
    parent_run = _parent_run(instance, states, masters) if not parent_is_new else None

    def change(action: Action, reason: str) -> Change:
        return Change(action, instance.key, reason, instance, parent_run)

    if observed is None:
        return change(Action.CREATE, "missing")
    reason = _why_replace(instance, observed, options, parent_is_new, parent_run)
    if reason:
        return change(Action.REPLACE, reason)
    if observed.status != RUNNING:
        return change(Action.START, f"is {observed.status.lower()}")
    return None


def _why_replace(
    instance: Instance,
    observed: ObservedInstance,
    options: DiffOptions,
    parent_is_new: bool,
    parent_run: str | None,
) -> str | None:
    if instance.key in options.replace:
        return "requested"
    if not observed.started:
        return "creation was interrupted"
    if observed.tags.get("hash") != resource_hash(instance):
        return "image, files or settings changed"
    if parent_is_new:
        return "master is replaced"
    if parent_run is not None and observed.tags.get("parent") != parent_run:
        return "belongs to an earlier master"
    return None


def _parent_run(
    instance: Instance, states: Mapping[str, HostState], masters: ControlPlane
) -> str | None:
    """The run in which the cluster began that exists now."""
    if instance.parent is None:
        return None
    if masters.born:
        return masters.born
    parent = states[instance.parent.host].find(instance.parent)
    return parent.tags.get("run") if parent else None


def _unwanted(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> Iterable[Change]:
    """Deletions of the owner's objects that the plan does not have.

    Instances come first, as they use the other objects. Volumes hold data that exists nowhere
    else: they are only deleted on request.
    """
    wanted = {resource.key for resource in resources}
    for host, state in states.items():
        for kind in (Kind.INSTANCE, Kind.PROFILE, Kind.NETWORK, Kind.ACL, Kind.VOLUME):
            if state.confined and kind in ADMINISTRATORS:
                continue
            found = state.objects(kind)
            if kind is Kind.VOLUME:
                found = permanent(state.volumes) if options.volumes else {}
            for name, observed in sorted(found.items(), key=lambda one: natural(one[0])):
                key = Key(kind, host, name)
                if key not in wanted and options.owner.owns(observed.tags):
                    yield Change(Action.DELETE, key, "not in the plan", None)


def _require_administrators(resources: Sequence[Resource], states: Mapping[str, HostState]) -> None:
    """PlexError for objects that are missing or differ, and that the lab cannot change there."""
    lacking, hosts = [], dict[str, None]()
    for resource in resources:
        state = states[resource.host]
        if not state.confined or resource.kind not in ADMINISTRATORS:
            continue
        observed = state.find(resource.key)
        if observed is None or observed.tags.get("hash") != resource_hash(resource):
            how = "is missing" if observed is None else "differs from the files"
            lacking.append(f"{resource.kind} {resource.name} on host {resource.host} {how}")
            hosts[resource.host] = None
    if lacking:
        raise PlexError(
            "only an administrator of the host can create or change its networks",
            details=lacking,
            hint="; ".join(
                f"let an administrator run the output of `plexctl host trust {host} --print`"
                for host in hosts
            ),
        )


def _refuse_kept(states: Mapping[str, HostState], owner: Owner) -> None:
    """PlexError if an upgrade has left nodes that it keeps: they are the only ones with the state.

    The runs of a lab complete or undo what is left before they compare anything.
    """
    kept = [
        f"instance {one.name} on host {host}, since run {one.tags[KEPT]}"
        for host, state in states.items()
        for one in state.instances.values()
        if is_kept(one) and owner.owns(one.tags)
    ]
    if kept:
        raise PlexError(
            f"an upgrade of {owner.plex} is neither complete nor undone",
            details=kept,
            hint=f"`plexctl upgrade {owner.plex}` in the lab where it ran undoes or completes it;"
            f" `plexctl destroy {owner.plex}` deletes everything",
        )


def _refuse_foreign(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> None:
    taken = []
    for resource in resources:
        observed = states[resource.host].find(resource.key)
        if observed is not None and not options.owner.owns(observed.tags):
            lab, plex = observed.tags.get("lab"), observed.tags.get("plex")
            owner = f"belongs to plex {plex} of lab {lab}" if lab else "was not created by plexctl"
            taken.append(f"{resource.kind} {resource.name} on host {resource.host} {owner}")
    taken += foreign_seeds(resources, states, options.owner)
    if taken:
        raise PlexError(
            "objects of other owners have names that this plex needs",
            details=taken,
            hint="rename the plex (its folder below clusters/), or delete these objects",
        )
