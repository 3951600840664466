"""Resources to reality: the interface of an engine, and what it says it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState, ObservedImage
from plexctl.plan.resources.types import Instance, Owner, Resource


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"  # in place: networks, profiles and volumes
    REPLACE = "replace"  # instances are cattle
    START = "start"
    DELETE = "delete"

    @property
    def past(self) -> str:
        """ "created", "started"."""
        return f"{self.removesuffix('e')}ed"


LEAVING = (Action.DELETE, Action.REPLACE)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing an engine would do to one object. No change is listed for what is as wanted."""

    action: Action
    host: str
    kind: str  # "network", "profile", "volume" or "instance"
    name: str
    reason: str
    resource: Resource | None  # None: it is not wanted (any more)
    parent_run: str | None = None  # of an instance: the run that made its master, if it stays

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.host}/{self.name}"

    @property
    def parent(self) -> str | None:
        """Key of the instance whose recreation recreates this one."""
        return self.resource.parent if isinstance(self.resource, Instance) else None


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What is asked for beyond the resources themselves."""

    owner: Owner
    replace: frozenset[str] = frozenset()  # keys of instances to make anew in any case
    volumes: bool = False  # remove volumes too that are not wanted, with all that is on them


def require_image(state: HostState, name: str, word: str = "image") -> ObservedImage:
    """The image called `name`, a `word` of a host. PlexError if the host has none."""
    found = state.image(name)
    if found is None:
        raise PlexError(f"host {state.host} has no {word} {name}", hint="bake it: `plexctl bake`")
    return found


class Engine(Protocol):
    """Brings hosts to what a list of resources says. Every method may be called again."""

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        """What the hosts have now. PlexError if none of them answers, not if only some do."""

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        """What would have to be done. PlexError if a name is taken by somebody else."""

    def apply(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        """Do it: `changes` bring the hosts to `wanted`.

        `before_start` may hold an instance back until others are ready for it.

        UnreachableHostError if all that failed did so because a host does not answer (any more).
        """
