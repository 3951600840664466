"""What has to be done to get from what hosts have to what a plan wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from plexctl.errors import PlexError
from plexctl.model.nodes import natural
from plexctl.model.observed import RUNNING, HostState, ObservedInstance, Tagged
from plexctl.plan.resources.types import (
    Instance,
    Network,
    Profile,
    Resource,
    Volume,
    resource_hash,
)
from plexctl.provision.direct.seeds import lasting, seeds_in_the_way, unwanted_seeds
from plexctl.provision.engine import Action, Change, DiffOptions


def diff(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> tuple[Change, ...]:
    """Changes in the order of the resources, then what is not wanted any more.

    Nothing is said of hosts that do not answer. PlexError names every object that is in the way
    and belongs to somebody else.
    """
    on_reachable_hosts = [r for r in resources if states[r.host].unreachable is None]
    _refuse_foreign(on_reachable_hosts, states, options)
    changes: dict[str, Change] = {}
    for resource in on_reachable_hosts:
        change = _change(resource, states, options, changes)
        if change:
            changes[resource.key] = change
    unwanted = _unwanted(resources, states, options)
    return (*changes.values(), *unwanted, *unwanted_seeds(resources, states, options.owner))


def _change(
    resource: Resource,
    states: Mapping[str, HostState],
    options: DiffOptions,
    before: Mapping[str, Change],
) -> Change | None:
    if isinstance(resource, Instance):
        return _instance(resource, states, options, before)
    state = states[resource.host]
    kind, seen = kind_of(resource), find(resource, state)
    if seen is None:
        return Change(Action.CREATE, state.host, kind, resource.name, "missing", resource)
    if seen.tags.get("hash") != resource_hash(resource):
        return Change(Action.UPDATE, state.host, kind, resource.name, "changed", resource)
    return None


def _instance(
    instance: Instance,
    states: Mapping[str, HostState],
    options: DiffOptions,
    before: Mapping[str, Change],
) -> Change | None:
    state = states[instance.host]
    seen = state.instances.get(instance.name)
    parent = before.get(instance.parent) if instance.parent else None
    parent_is_new = parent is not None and parent.action is not Action.START
    parent_run = _parent_run(instance, states) if not parent_is_new else None

    def change(action: Action, reason: str) -> Change:
        return Change(action, state.host, "instance", instance.name, reason, instance, parent_run)

    if seen is None:
        return change(Action.CREATE, "missing")
    reason = _why_replace(instance, seen, options, parent_is_new, parent_run)
    if reason:
        return change(Action.REPLACE, reason)
    if seen.status != RUNNING:
        return change(Action.START, f"is {seen.status.lower()}")
    return None


def _why_replace(
    instance: Instance,
    seen: ObservedInstance,
    options: DiffOptions,
    parent_is_new: bool,
    parent_run: str | None,
) -> str | None:
    if instance.key in options.replace:
        return "asked for"
    if not seen.started:
        return "was left half made"
    if seen.tags.get("hash") != resource_hash(instance):
        return "its image, files or settings changed"
    if parent_is_new:
        return "its master is made anew"
    if parent_run is not None and seen.tags.get("parent") != parent_run:
        return "belongs to an earlier master"
    return None


def _parent_run(instance: Instance, states: Mapping[str, HostState]) -> str | None:
    """The run that made the master which is there now."""
    if instance.parent is None:
        return None
    _, host, name = instance.parent.split("/")
    parent = states[host].instances.get(name)
    return parent.tags.get("run") if parent else None


def _unwanted(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> Iterable[Change]:
    """What is tagged as this plex' and is in no plan: instances first, as they use the others.

    A volume has what nothing else has: it goes only where that is asked for.
    """
    wanted = {resource.key for resource in resources}
    for host, state in states.items():
        kinds: tuple[tuple[str, Mapping[str, Tagged]], ...] = (
            ("instance", state.instances),
            ("profile", state.profiles),
            ("network", state.networks),
            ("volume", lasting(state.volumes) if options.volumes else {}),
        )
        for kind, found in kinds:
            for name, seen in sorted(found.items(), key=lambda one: natural(one[0])):
                ours = _owned(seen.tags, options)
                if ours and f"{kind}/{host}/{name}" not in wanted:
                    yield Change(Action.DELETE, host, kind, name, "not wanted any more", None)


def _refuse_foreign(
    resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
) -> None:
    taken = []
    for resource in resources:
        state = states[resource.host]
        kind = kind_of(resource)
        seen = find(resource, state)
        if seen is not None and not _owned(seen.tags, options):
            lab, plex = seen.tags.get("lab"), seen.tags.get("plex")
            whose = f"plex {plex} of lab {lab}" if lab else "nothing that plexctl made"
            taken.append(f"{kind} {resource.name} on host {resource.host} belongs to {whose}")
    taken += seeds_in_the_way(resources, states, options.owner)
    if taken:
        raise PlexError(
            "names of this plex are taken by somebody else",
            details=taken,
            hint="rename the plex (its folder below clusters/), or remove what is in the way",
        )


def _owned(tags: Mapping[str, str], options: DiffOptions) -> bool:
    return tags.get("lab") == options.owner.lab and tags.get("plex") == options.owner.plex


def find(resource: Resource, state: HostState) -> Tagged | None:
    """What a host has under the name of `resource`."""
    match resource:
        case Network():
            return state.networks.get(resource.name)
        case Profile():
            return state.profiles.get(resource.name)
        case Volume():
            return state.volumes.get(resource.name)
        case Instance():
            return state.instances.get(resource.name)


def kind_of(resource: Resource) -> str:
    """ "network", "profile", "volume" or "instance"."""
    match resource:
        case Network():
            return "network"
        case Profile():
            return "profile"
        case Volume():
            return "volume"
        case Instance():
            return "instance"
