"""The nodes of a plex that exist, and work on all of them at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from plexctl.errors import UsageError
from plexctl.model.host import Host
from plexctl.model.kept import is_kept
from plexctl.model.nodes import natural, nodes
from plexctl.model.observed import HostState, ObservedInstance
from plexctl.model.plex import Node, Plex
from plexctl.model.resources import Key, Kind
from plexctl.model.snapshots import PlexSnapshot, Snapshots, plex_snapshots
from plexctl.plan.resources.types import Owner
from plexctl.provision.direct.tasks import Task, TaskId, run_tasks
from plexctl.workflow.core.context import Context

AT_ONCE = 8
"""Calls to one host at the same time: each is short, and the nodes wait for the last one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node that exists on a host."""

    host: Host
    observed: ObservedInstance

    @property
    def name(self) -> str:
        return self.observed.name

    @property
    def snapshots(self) -> Snapshots:
        return self.host.snapshots

    @property
    def key(self) -> Key:
        return Key(Kind.INSTANCE, self.host.name, self.name)


@dataclass(frozen=True, slots=True)
class Members:
    """All nodes of a plex that exist, in natural order: the master is the first."""

    plex: Plex
    all: tuple[Member, ...]
    states: Mapping[str, HostState]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.all)

    def planned(self) -> tuple[Node, ...]:
        """The nodes of the plex file that exist."""
        return tuple(node for node in nodes(self.plex) if node.name in self.names)

    def named(self, names: Iterable[str]) -> tuple[Member, ...]:
        chosen = frozenset(names)
        return tuple(one for one in self.all if one.name in chosen)


def find_members(ctx: Context, plex: Plex, *, kept: bool = False) -> Members:
    """The nodes of `plex` on its hosts, with `kept` also those that an upgrade keeps.

    UnreachableHostError if a host does not answer.
    """
    states = ctx.engine.read(plex.hosts)
    for state in states.values():
        if state.unreachable:
            raise state.unreachable
    owner = Owner(ctx.seed.lab_id, plex.name)
    found = [
        Member(ctx.hosts[host], one)
        for host, state in states.items()
        for one in state.instances.values()
        if owner.owns(one.tags) and (kept or not is_kept(one))
    ]
    return Members(plex, tuple(sorted(found, key=lambda one: natural(one.name))), states)


def require_members(ctx: Context, plex: Plex) -> Members:
    """`find_members`. UsageError if there are none, or if one was never started."""
    found = find_members(ctx, plex)
    if not found.all:
        raise UsageError(f"{plex.name} has no nodes", hint=f"create them: `plexctl up {plex.name}`")
    if fresh := [one.name for one in found.all if not one.observed.started]:
        raise UsageError(
            f"the creation of {', '.join(fresh)} was interrupted",
            hint=f"complete it: `plexctl up {plex.name}`",
        )
    return found


def on_all(members: Iterable[Member], work: Callable[[Member], None]) -> None:
    """Do `work` on all members at the same time. PlexError with all failures at the end."""
    members = tuple(members)
    tasks = [Task(TaskId(one.key), lambda one=one: work(one)) for one in members]  # type: ignore[misc]
    run_tasks(tasks, {one.host.name: AT_ONCE for one in members})


def find_snapshots(members: Members) -> tuple[PlexSnapshot, ...]:
    """The snapshots of the plex, the oldest first."""
    found = {}

    def read(member: Member) -> None:
        found[member.name] = member.snapshots.list(member.name)

    on_all(members.all, read)
    return plex_snapshots(part for name in members.names for part in found[name])


def require_snapshot(members: Members, name: str) -> PlexSnapshot:
    """The snapshot called `name`. UsageError if there is none.

    Of several with this name, that is the last one that is complete, or else the last one.
    """
    all_ = find_snapshots(members)
    named = [one for one in all_ if one.id.name == name]
    complete = [one for one in named if one.is_complete(members.names)]
    if not named:
        known = ", ".join(dict.fromkeys(one.id.name for one in all_)) or "none"
        raise UsageError(f"{members.plex.name} has no snapshot {name}", hint=f"there are: {known}")
    return (complete or named)[-1]
