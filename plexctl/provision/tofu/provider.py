"""What differs between OpenTofu's providers: the interface that the engine `tofu` works with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from plexctl.clients.tofu import Event, Tofu
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.engine import Change

Tags = Mapping[str, Mapping[str, str]]
"""The tags of each resource by its key."""


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """Of the objects that a provider makes."""

    instance: str  # the type of resource that nodes are
    image: str  # what the nodes' images are called there
    made: tuple[str, ...]  # what has happened to a node once OpenTofu says that it is made
    keeps_boot: bool  # whether it looks at boot files in every plan, not only to make nodes


class Provider(Protocol):
    """One provider and its module, for the objects of one plex."""

    kind: ClassVar[ProviderTraits]

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        """All that OpenTofu keeps for them."""

    def address(self, instance: Instance) -> str:
        """Where it keeps a node."""

    def triggers(self, instance: Instance) -> tuple[str, ...]:
        """Addresses of what decides whether it makes a node anew."""

    def variables(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        """What its root module reads.

        `states` are those of all hosts that have, or had, any of it; `boot` is the folder of
        `boot_files`.
        """

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        """What nodes boot with, and where it looks for that."""

    def imports(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[dict[str, str]]:
        """Import blocks of objects that exist, as far as their addresses are not `known`."""

    def half_made(self, instances: Sequence[Instance], changes: Sequence[Change]) -> frozenset[str]:
        """Keys of those that a provider which was killed has not done with."""

    def left_behind(
        self,
        instances: Sequence[Instance],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> Iterator[Change]:
        """Deletions of what would be in the way when `instances` are made."""

    def given(self, tofu: Tofu) -> AbstractContextManager[Tofu]:
        """`tofu` with all that the provider needs to reach its hosts."""


@dataclass(frozen=True, slots=True)
class ApplyProgress:
    """What OpenTofu tells, as this run's own progress."""

    kind: ProviderTraits
    reporter: Reporter

    def hear(self, event: Event) -> None:
        if event.get("type") != "apply_complete":
            return
        hook = event["hook"]
        resource = hook["resource"]
        if resource["resource_type"] == self.kind.instance and hook["action"] == "create":
            for what in self.kind.made:
                self.reporter.mark(str(resource["resource_key"]), what)
