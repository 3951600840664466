"""Objects of older versions of plexctl get the whole identifier of their lab as a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from plexctl.model.host import Host
from plexctl.model.observed import HostState, Tagged
from plexctl.model.resources import Kind
from plexctl.plan.resources.types import Owner
from plexctl.provision.diff import ADMINISTRATORS
from plexctl.workflow.core.run import Run

_One = TypeVar("_One", bound=Tagged)


def relabel(
    hosts: Mapping[str, Host], states: dict[str, HostState], owners: Iterable[Owner], run: Run
) -> dict[str, HostState]:
    """`states` after all objects of `owners` have the whole identifier; nothing is replaced.

    Quick, and without any call, when they have it already.
    """
    owners = tuple(owners)
    found = [
        (host, kind, name, {**one.tags, **owner.tags})
        for host, state in states.items()
        for kind in Kind
        for name, one in state.objects(kind).items()
        if not (state.confined and kind in ADMINISTRATORS)
        if (owner := _outdated(one, owners))
    ]
    if not found:
        return states
    with run.step(f"write the identifier of the lab, of 128 bits, on {len(found)} objects"):
        for host, kind, name, tags in found:
            hosts[host].set_tags(kind, name, tags)
    return {name: _relabelled(state, owners) for name, state in states.items()}


def _outdated(one: Tagged, owners: Iterable[Owner]) -> Owner | None:
    """The owner of an object whose tag is short."""
    owned = (owner for owner in owners if owner.owns(one.tags))
    return next((owner for owner in owned if one.tags["lab"] != owner.lab), None)


def _relabelled(state: HostState, owners: tuple[Owner, ...]) -> HostState:
    def tagged(objects: Mapping[str, _One]) -> Iterator[tuple[str, _One]]:
        for name, one in objects.items():
            owner = _outdated(one, owners)
            yield name, replace(one, tags={**one.tags, **owner.tags}) if owner else one

    return replace(
        state,
        instances=dict(tagged(state.instances)),
        networks=dict(tagged(state.networks)),
        profiles=dict(tagged(state.profiles)),
        volumes=dict(tagged(state.volumes)),
    )
