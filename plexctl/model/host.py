"""The interface of a host, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from plexctl.errors import UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.observed import HostState
from plexctl.model.resources import Kind

if TYPE_CHECKING:
    from plexctl.model.disks import Disks
    from plexctl.model.folders import Folders
    from plexctl.model.kept import Keeper
    from plexctl.model.snapshots import Snapshots
    from plexctl.model.streams import Streams


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
    def terminals(self) -> bool:
        """Whether programs in instances can have a terminal."""

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why no further call is made; None while the server answers."""

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots of its instances. UsageError on a kind of host that has none (yet)."""

    @property
    def disk_copies(self) -> Disks:
        """Disks of its instances, copied from and to other hosts. UsageError as for `snapshots`."""

    @property
    def folders(self) -> Folders:
        """Folders that outlive its nodes. UsageError on a kind of host that has none."""

    @property
    def keeper(self) -> Keeper:
        """Keeps nodes that are replaced. UsageError on a kind of host that cannot do it (yet)."""

    def version(self) -> str:
        """The version of the host's server."""

    def facts(self) -> HostFacts:
        """What the kernel allows containers, and the host's processors and memory."""

    def read(self) -> HostState:
        """All objects of the host that plexctl manages, and its images."""

    def read_instances(self) -> HostState:
        """The same for those who need only the instances: everything else may be left out.

        A server that has many instances takes long to list what uses its other objects.
        """

    def pool_free(self) -> int:
        """Free bytes of the storage pool for instances and images."""

    def settle(self, plex: str) -> bool:
        """Wait until the host has finished the requests of an interrupted run for nodes of `plex`.

        True if there was anything to wait for: what was read before is out of date then.
        """

    def start(self, name: str) -> None:
        """Start an instance. One that runs already is no error."""

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop an instance at once, or (`force` false) as its own system shuts down."""

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program in a running instance; `timeout` in seconds. `argv` must hold no secret."""

    def run(
        self, name: str, argv: tuple[str, ...], streams: Streams, *, timeout: float | None = None
    ) -> int:
        """Run a program in a running instance, with streams of bytes; returns its exit code.

        128 + number if a signal ended it, 127 if there is no such program, 126 if it cannot be
        executed. `timeout` in seconds, by default none. `argv` must hold no secret. A host that
        has no streams refuses a terminal and input, and writes the output after the end.
        """

    def set_tags(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        """Write tags of an object; those that are not in `tags` may be lost. Nothing restarts.

        An object that does not exist is no error.
        """

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        """Delete an instance, whatever its state. One that does not exist is no error."""

    def images_in_use(self) -> frozenset[str]:
        """Fingerprints of the images of all instances that this client sees, of other labs too."""

    def set_image_properties(self, fingerprint: str, properties: Mapping[str, str | None]) -> None:
        """Set properties of an image, or drop those that are None; all others stay.

        An image that does not exist, or that can have no properties, is no error.
        """

    def delete_image(self, fingerprint: str) -> None:
        """Delete an image. One that does not exist is no error."""

    def delete_volume(self, name: str) -> None:
        """Delete a volume of the pool. One that does not exist is no error."""
