"""What OpenTofu cannot delete itself goes before it begins: what it does not know is in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from plexctl.model.events import Reporter
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.diff import find
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import LEAVING, Action, Change, DiffOptions, require_image
from plexctl.provision.tofu.provider import Provider, ProviderTraits

TOGETHER = 4
"""So many workers may start beside a master that boots."""

Observation = TypeVar("Observation")


@dataclass(frozen=True, slots=True)
class Clearing:
    """Of one run. `known` are the addresses in the state."""

    direct: DirectEngine
    provider: Provider
    known: frozenset[str]
    run: str
    reporter: Reporter

    def cleared(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
    ) -> tuple[tuple[Change, ...], dict[str, HostState]]:
        """What is left to do then, and what is there then."""
        asked = frozenset(c.key for c in changes if c.action is Action.REPLACE)
        options = DiffOptions(wanted[0].owner, asked)
        gone = [change for change in changes if change.resource is None]
        while gone := [*gone, *self._in_the_way(wanted, changes, states)]:
            self.direct.apply((), gone, states, self.run, self.reporter, lambda _: None)
            states = _without(states, gone)
            found = self.direct.diff(wanted, states, options)
            changes, gone = [one for one in found if one.resource is not None], []
        return tuple(changes), states

    def _in_the_way(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
    ) -> Iterator[Change]:
        nodes = [one for one in wanted if isinstance(one, Instance)]
        there = [one for one in nodes if find(one, states[one.host]) is not None]
        known = {one.key for one in there if self.provider.address(one) in self.known}
        # Of a clone that nobody has configured OpenTofu may know the address, but not its number.
        known -= {one.key for one in there if _is_bare(one, states)}
        strange = [one for one in there if one.key not in known]
        why = {c.key: c.reason for c in changes if c.action is Action.REPLACE}
        suspects = [one for one in strange if one.key not in why]
        half = self.provider.half_made(suspects, changes)
        why |= dict.fromkeys(half, "was left half made")
        if held(changes):
            # The new master is made first: OpenTofu would leave its old workers until later.
            strange += [one for one in there if one.parent and one not in strange]
        leaving = [one for one in strange if one.key in why]
        for one in leaving:
            yield Change(Action.DELETE, one.host, "instance", one.name, why[one.key], None)
        made = {c.key for c in changes if c.action is Action.CREATE} | {g.key for g in leaving}
        making = [one for one in nodes if one.key in made]
        yield from self.provider.left_behind(making, states, self.known)


def held(changes: Sequence[Change]) -> Instance | None:
    """The last of so many workers that a master which boots would suffer from them."""
    starting = [
        c.resource
        for c in changes
        if isinstance(c.resource, Instance) and c.resource.parent and c.action is not Action.UPDATE
    ]
    return starting[-1] if len(starting) > TOGETHER else None


def _is_bare(instance: Instance, states: Mapping[str, HostState]) -> bool:
    """Whether a machine has only the name, and none of the tags that say whose it is."""
    seen = find(instance, states[instance.host])
    return seen is not None and "plex" not in seen.tags


def making_keys(changes: Sequence[Change]) -> frozenset[str]:
    """Of all that is made, or made anew."""
    return frozenset(c.key for c in changes if c.action in (Action.CREATE, *LEAVING))


def require_images(
    kind: ProviderTraits, changes: Sequence[Change], states: Mapping[str, HostState]
) -> None:
    """PlexError if a node is to be made of an image that its host has not."""
    making = making_keys(changes)
    for change in changes:
        one = change.resource
        if change.key not in making or not isinstance(one, Instance):
            continue
        require_image(states[one.host], one.image, kind.image)


def _without(states: Mapping[str, HostState], gone: Sequence[Change]) -> dict[str, HostState]:
    """`states` as they are once it is gone."""
    left = dict(states)
    for change in gone:
        state = left[change.host]
        left[change.host] = replace(
            state,
            instances=_but(state.instances, change, "instance"),
            networks=_but(state.networks, change, "network"),
            profiles=_but(state.profiles, change, "profile"),
            volumes=_but(state.volumes, change, "volume"),
        )
    return left


def _but(found: Mapping[str, Observation], change: Change, kind: str) -> dict[str, Observation]:
    return {name: one for name, one in found.items() if (kind, name) != (change.kind, change.name)}
