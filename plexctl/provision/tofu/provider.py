"""The interface of OpenTofu's providers, as the engine `tofu` uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from plexctl.clients.tofu import Event, Tofu
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState
from plexctl.model.resources import Key
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Change
from plexctl.provision.tofu.tags import Tags

ImportBlock = dict[str, str]
"""An import block of OpenTofu: `to`, the address in the state, and `id`, the provider's name."""


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """Facts about a provider and its module."""

    node_type: str  # OpenTofu's type of the resource that a node is
    image: str  # the word of the hosts for an image of nodes: "template"
    created: tuple[str, ...]  # marks of a node that OpenTofu has created
    plan_reads_boot: bool  # whether each plan reads boot files, or only the creation of a node


class Provider(Protocol):
    """One provider with its module, for the objects of one plex."""

    traits: ClassVar[ProviderTraits]

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        """All addresses in the state that belong to `resources`."""

    def address(self, instance: Instance) -> str:
        """The address of the node itself."""

    def replace_triggers(self, instance: Instance) -> tuple[str, ...]:
        """Addresses of the objects whose change replaces the node."""

    def tfvars(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        """The variables of the root module.

        `states` are those of all hosts with objects that are wanted or deleted; `boot` is the
        folder of `boot_files`.
        """

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        """The files that nodes boot with, at the paths in `boot` that the variables name."""

    def import_blocks(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[ImportBlock]:
        """Blocks for objects that exist, without addresses that are `known`."""

    def incomplete(
        self, instances: Sequence[Instance], changes: Sequence[Change]
    ) -> frozenset[Key]:
        """Keys of existing nodes that an interrupted provider did not complete."""

    def obstacles(
        self, instances: Sequence[Instance], states: Mapping[str, HostState], known: frozenset[str]
    ) -> Iterator[Change]:
        """Deletions of other objects that prevent the creation of `instances`."""

    def connected(self, tofu: Tofu) -> AbstractContextManager[Tofu]:
        """`tofu` with the provider's address and credentials of its hosts."""


@dataclass(frozen=True, slots=True)
class ApplyProgress:
    """Reports OpenTofu's events as progress of this run."""

    traits: ProviderTraits
    reporter: Reporter

    def on_event(self, event: Event) -> None:
        if event.get("type") != "apply_complete":
            return
        hook = event["hook"]
        resource = hook["resource"]
        if resource["resource_type"] == self.traits.node_type and hook["action"] == "create":
            for mark in self.traits.created:
                self.reporter.mark(str(resource["resource_key"]), mark)
