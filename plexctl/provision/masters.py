"""The masters that a plex has now, as its hosts show them, and what a change of one means. Pure.

The cluster lives as long as its masters do. One of several can be replaced: it joins the others. If
none is left, or all are to be replaced, a new cluster begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from plexctl.model.kept import is_kept
from plexctl.model.observed import RUNNING, HostState, ObservedInstance
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Instance, Owner, Resource, resource_hash
from plexctl.provision.change import Action

BORN = "born"
"""Tag of a master that is, or was, one of several: the run in which its cluster began."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The masters that the plan wants, and those that exist."""

    wanted: tuple[Instance, ...]
    living: frozenset[Key]  # of the cluster that exists
    born: str | None  # the run in which it began; None: there is no cluster

    @property
    def several(self) -> bool:
        """Whether masters join and leave, instead of ending the cluster."""
        return bool(self.living) and max(len(self.wanted), len(self.living)) > 1

    def change(
        self, instance: Instance, observed: ObservedInstance | None, *, requested: bool
    ) -> tuple[Action, str] | None:
        """What happens to a master that joins others, and why."""
        if observed is None:
            return Action.CREATE, "missing"
        if requested:
            return Action.REPLACE, "requested"
        if not observed.started:
            # All masters of a new cluster had their files before the first one was started.
            if observed.tags.get(BORN) == observed.tags.get("run") == self.born:
                return Action.START, "its first start was interrupted"
            return Action.REPLACE, "creation was interrupted"
        if instance.key not in self.living:
            return Action.REPLACE, "becomes a master"
        if observed.tags.get("hash") != resource_hash(instance):
            return Action.REPLACE, "image, files or settings changed"
        if observed.status != RUNNING:
            return Action.START, f"is {observed.status.lower()}"
        return None


def control_plane(
    resources: Sequence[Resource],
    states: Mapping[str, HostState],
    owner: Owner,
    replace: frozenset[Key],
) -> ControlPlane:
    """The masters in `resources` beside those on the hosts. `replace`: instances to replace."""
    wanted = tuple(r for r in resources if isinstance(r, Instance) and r.masters)
    found = dict(_masters(wanted, states, owner))
    first = next((found[one.key] for one in wanted if one.key in found), None)
    first = first or next(iter(found.values()), None)
    born = (first.tags.get(BORN) or first.tags.get("run")) if first else None
    living = frozenset(key for key, one in found.items() if _belongs(one, born))
    if living and living <= replace:
        return ControlPlane(wanted, frozenset(), None)
    return ControlPlane(wanted, living, born)


def _masters(
    wanted: Sequence[Instance], states: Mapping[str, HostState], owner: Owner
) -> Iterator[tuple[Key, ObservedInstance]]:
    """The masters that have been started, those that the plan wants first."""
    keys = {one.key: None for one in wanted}
    for host, state in states.items():
        for name, one in state.instances.items():
            if BORN in one.tags and not is_kept(one):
                keys.setdefault(Key(Kind.INSTANCE, host, name))
    for key in keys:
        found = states[key.host].instances.get(key.name)
        if found and found.started and owner.owns(found.tags) and "parent" not in found.tags:
            yield key, found


def _belongs(one: ObservedInstance, born: str | None) -> bool:
    return born is not None and (one.tags.get(BORN) or one.tags.get("run")) == born
