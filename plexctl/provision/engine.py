"""The interface of an engine: it brings hosts to what a list of resources says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState, ObservedImage
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Change, DiffOptions
from plexctl.provision.start_gate import StartGate


@dataclass(frozen=True, slots=True)
class ApplyJob:
    """The inputs of an engine that applies changes."""

    wanted: tuple[Resource, ...]  # all resources of the plan; `direct` only needs the changes
    changes: tuple[Change, ...]
    states: Mapping[str, HostState]  # of all hosts in `wanted` and `changes`
    run: str  # identifier of the run, for the tags of objects
    reporter: Reporter
    gate: StartGate | None = None  # None: every instance starts at once
    tags: Mapping[str, str] = field(default_factory=dict)  # more tags of what is created

    def wait_to_start(self, instance: Instance) -> None:
        """Return when `instance` may start. PlexError if its condition is not met in time."""
        if self.gate:
            self.gate.wait(instance)

    def on_reachable_hosts(self) -> ApplyJob:
        """The job without the resources of hosts that do not answer."""
        wanted = tuple(one for one in self.wanted if self.states[one.host].unreachable is None)
        return replace(self, wanted=wanted)


class Engine(Protocol):
    """Brings hosts to the state of a list of resources. Every method may be called again."""

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        """The objects that the hosts have now. UnreachableHostError only if no host answers."""

    def diff(
        self, resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        """The changes that are needed. PlexError if an object of another owner has a name."""

    def apply(self, job: ApplyJob) -> None:
        """Apply the changes of `job`.

        UnreachableHostError if nothing failed but calls to hosts that do not answer (any more);
        everything else is done then. PlexError with all failures otherwise.
        """


def require_image(state: HostState, name: str, word: str = "image") -> ObservedImage:
    """The image called `name`, a `word` of a host. PlexError if the host does not have it."""
    found = state.image(name)
    if found is None:
        raise PlexError(f"host {state.host} has no {word} {name}", hint="bake it: `plexctl bake`")
    return found
