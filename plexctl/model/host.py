"""The interface of a host, whatever kind it is."""

from __future__ import annotations

from typing import Protocol

from plexctl.errors import UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.observed import HostState


class Host(Protocol):
    """A machine that runs nodes, over its own API.

    Safe to use from several threads, and every call is bounded in time. A method raises
    UnreachableHostError when the server does not answer (and at once from then on), and PlexError
    when the server refuses. What only one kind of host can do is on its class and the parts of
    that: `clients.incus.host.IncusHost`, `clients.proxmox.host.ProxmoxHost`. Only factories ask for
    the kind: `clients.hosts`, `bake.hosts`, `plan.resources.platform`, `provision.direct.applier`,
    `workflow.host.onboarding`.
    """

    @property
    def spec(self) -> HostSpec:
        """The host as `clusters/hosts.yaml` declares it."""

    @property
    def name(self) -> str:
        """The name in `clusters/hosts.yaml`."""

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why no further call is made; None while the server answers."""

    def facts(self) -> HostFacts:
        """What the kernel allows containers, and the host's processors and memory."""

    def read(self) -> HostState:
        """All objects of the host that plexctl manages, and its images."""

    def pool_free(self) -> int:
        """Free bytes of the storage pool for instances and images."""

    def settle(self, plex: str) -> bool:
        """Wait until the host has finished the requests of an interrupted run for nodes of `plex`.

        True if there was anything to wait for: what was read before is out of date then.
        """

    def start(self, name: str) -> None:
        """Start an instance."""

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop an instance at once, or (`force` false) as its own system shuts down."""

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program in a running instance; `timeout` in seconds. `argv` must hold no secret."""

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        """Delete an instance, whatever its state. One that does not exist is no error."""

    def delete_image(self, fingerprint: str) -> None:
        """Delete an image. One that does not exist is no error."""

    def delete_volume(self, name: str) -> None:
        """Delete a volume of the pool. One that does not exist is no error."""
