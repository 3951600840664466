"""What an upgrade replaces, and in which steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from plexctl.errors import UsageError
from plexctl.model.nodes import node_name
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import Instance, resource_hash
from plexctl.provision.change import Action, Change
from plexctl.provision.masters import BORN

REASON = "image, files or settings changed"


@dataclass(frozen=True, slots=True)
class Rolled:
    """The nodes that an upgrade replaces. Each change creates the new instance of a node."""

    masters: tuple[Change, ...]
    workers: tuple[Change, ...]

    @property
    def all(self) -> tuple[Change, ...]:
        return (*self.masters, *self.workers)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.all)

    def batches(self, parallel: int) -> tuple[tuple[Change, ...], ...]:
        """The workers, in groups that are replaced at the same time."""
        size = max(1, parallel)
        starts = range(0, len(self.workers), size)
        return tuple(self.workers[start : start + size] for start in starts)


def rolled(plan: Plan, states: Mapping[str, HostState]) -> Rolled:
    """The nodes of `plan` whose hash differs from that on their host.

    The cluster stays: new masters have the run in which it began, and workers belong to it.
    """
    first = plan.instances[0]
    tags = states[first.host].instances[first.name].tags
    began = tags.get(BORN) or tags.get("run")
    found = [one for one in plan.instances if _differs(one, states)]
    changes = [
        Change(Action.CREATE, one.key, REASON, one, began, joins=one.masters > 0) for one in found
    ]
    masters = {one.key for one in found if one.masters}
    return Rolled(
        tuple(one for one in changes if one.key in masters),
        tuple(one for one in changes if one.key not in masters),
    )


def require_same_nodes(plex: Plex, members: Iterable[str]) -> None:
    """UsageError if the plex has other nodes than its file: an upgrade only replaces nodes."""
    wanted = {node_name(plex.name, number) for number in range(1, plex.size + 1)}
    found = frozenset(members)
    if wanted != found:
        lines = (
            *_line("to create", wanted - found),
            *_line("to delete", found - wanted),
        )
        raise UsageError(
            f"refusing to upgrade {plex.name}: its file has other nodes than its hosts",
            details=lines,
            hint=f"write the numbers of masters and workers that exist into {plex.file};"
            " change them before or after the upgrade",
        )


def steps(plex: Plex, bakes: Iterable[str], chosen: Rolled, parallel: int) -> Iterator[str]:
    """The steps of an upgrade, as a user reads them beforehand."""
    if not chosen.all:
        return
    missing = ", ".join(bakes)
    if missing:
        yield f"bake {missing}, while the cluster runs"
    yield f"take a snapshot of all {plex.size} nodes"
    for master in chosen.masters:
        away = "" if plex.masters > 1 else "; the API is away for some seconds"
        yield f"replace master {master.name}, with the state of etcd{away}"
    if chosen.masters:
        yield "upload kubeadm's configuration, and upgrade CoreDNS"
    for batch in chosen.batches(parallel):
        yield f"drain and replace {', '.join(one.name for one in batch)}"
    if chosen.masters:
        yield "upgrade kube-proxy"
    yield "wait until all nodes are Ready and DNS answers"
    yield f"delete the old {', '.join(chosen.names)} and the snapshot"


def _differs(one: Instance, states: Mapping[str, HostState]) -> bool:
    observed = states[one.host].instances.get(one.name)
    return observed is not None and observed.tags.get("hash") != resource_hash(one)


def _line(what: str, names: Iterable[str]) -> tuple[str, ...]:
    shown = ", ".join(sorted(names))
    return (f"{what}: {shown}",) if shown else ()
