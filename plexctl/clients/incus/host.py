"""An Incus server as a host. Every quirk of the server and of pylxd is in this package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from plexctl.clients.host_facts import local_facts
from plexctl.clients.incus import observed
from plexctl.clients.incus.acls import IncusAcls
from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.images import IncusImages
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.networks import IncusNetworks, IncusProfiles
from plexctl.clients.incus.volumes import IncusVolumes
from plexctl.errors import UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.condition import wait
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.observed import HostState
from plexctl.model.resources import Kind
from plexctl.model.settings import SEED

if TYPE_CHECKING:
    from plexctl.model.disks import Disks
    from plexctl.model.folders import Folders
    from plexctl.model.host import Host
    from plexctl.model.kept import Keeper
    from plexctl.model.snapshots import Snapshots
    from plexctl.model.streams import Streams


def load() -> None:
    """Load what `IncusHost.read` needs; otherwise the first read loads it."""
    importlib.import_module("plexctl.clients.incus.plain_reads")


class IncusHost:
    """An Incus server (see `model.host.Host`), by the kinds of its objects."""

    def __init__(self, spec: HostSpec, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self.connection = IncusConnection(spec, credentials)
        self.images = IncusImages(self.connection)
        self.instances = IncusInstances(self.connection)
        self.networks = IncusNetworks(self.connection)
        self.acls = IncusAcls(self.connection)
        self.profiles = IncusProfiles(self.connection)
        self.volumes = IncusVolumes(self.connection)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def terminals(self) -> bool:
        return True

    @property
    def unreachable(self) -> UnreachableHostError | None:
        return self.connection.unreachable

    @property
    def clock_offset(self) -> float:
        """Seconds by which its clock is ahead of this machine's; 0 before the first call."""
        return self.connection.clock.offset

    @property
    def snapshots(self) -> Snapshots:
        from plexctl.clients.incus.snapshots import IncusSnapshots  # `up` needs none

        return IncusSnapshots(self.connection, self.instances)

    @property
    def disk_copies(self) -> Disks:
        from plexctl.clients.incus.disks import IncusDisks

        return IncusDisks(self.connection, self.images, self.instances)

    @property
    def folders(self) -> Folders:
        from plexctl.clients.incus.folders import IncusFolders  # `up` needs none

        return IncusFolders(self.connection, self.instances)

    @property
    def keeper(self) -> Keeper:
        from plexctl.clients.incus.keeper import IncusKeeper  # `up` needs none

        return IncusKeeper(self.connection, self.instances)

    def version(self) -> str:
        """Of the server; it says so when plexctl connects, so no further call is made."""
        self.connection.connect_to_read()
        return self.connection.version

    def facts(self) -> HostFacts:
        """The facts in hosts.yaml, or those of this machine. No call is made."""
        return self.spec.facts or local_facts()

    def read(self) -> HostState:
        """All instances, networks, ACLs, profiles, images and volumes: one recursive call a kind.

        The calls run at the same time: the server takes long to list what uses a network or a
        volume.
        """
        self.connection.connect_to_read()
        with ThreadPoolExecutor() as pool:
            instances, networks = pool.submit(self.instances.list), pool.submit(self.networks.list)
            profiles, images = pool.submit(self.profiles.list), pool.submit(self.images.list)
            acls = None if self.spec.confined else pool.submit(self.acls.list)
            return HostState(
                self.name,
                instances.result(),
                networks.result(),
                profiles.result(),
                images.result(),
                self.volumes.list(),
                confined=self.spec.confined,
                clock_offset=self.clock_offset,
                acls=acls.result() if acls else observed.acls_of(networks.result()),
            )

    def read_instances(self) -> HostState:
        self.connection.connect_to_read()
        instances = self.instances.list()
        return HostState(
            self.name,
            instances,
            {},
            {},
            (),
            confined=self.spec.confined,
            clock_offset=self.clock_offset,
        )

    def pool_free(self) -> int:
        with self.connection.failing_as("the storage pool cannot be read"):
            pool = self.connection.api["storage-pools"][self.spec.pool]
            space = pool.resources.get().json()["metadata"]["space"]
        return int(space["total"]) - int(space.get("used", 0))

    def pools(self) -> tuple[str, ...]:
        """Names of the storage pools."""
        return tuple(str(pool["name"]) for pool in self.connection.objects("storage-pools"))

    def machine(self) -> tuple[int, int]:
        """Number of processors, and bytes of memory."""
        with self.connection.failing_as("the resources cannot be read"):
            found = self.connection.api.resources.get().json()["metadata"]
        return int(found["cpu"]["total"]), int(found["memory"]["total"])

    def settle(self, plex: str) -> bool:
        settled = self.instances.nodes_settled(plex)
        changing = not settled.probe().holds
        if changing:
            wait(settled)
        return self.networks.settle(plex) or changing

    def start(self, name: str) -> None:
        self.instances.start(name)

    def stop(self, name: str, *, force: bool = True) -> None:
        self.instances.stop(name, force=force)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        return self.instances.execute(name, argv, timeout=timeout)

    def run(
        self, name: str, argv: tuple[str, ...], streams: Streams, *, timeout: float | None = None
    ) -> int:
        from plexctl.clients.incus import streams as websockets

        return websockets.run(self.connection, name, argv, streams, timeout)

    def set_tags(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        match kind:
            case Kind.INSTANCE:
                self.instances.set_tags(name, tags)
            case Kind.NETWORK:
                self.networks.set_tags(name, tags)
            case Kind.PROFILE:
                self.profiles.set_tags(name, tags)
            case Kind.VOLUME:
                self.volumes.set_tags(name, tags, disc=SEED in tags)
            case Kind.ACL:
                pass  # no version has written shorter tags on ACLs

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        self.instances.delete(name, running=running)

    def images_in_use(self) -> frozenset[str]:
        """Instances of all projects count: a project may have no images of its own."""
        return frozenset(one.image for one in self.instances.of_all_projects())

    def set_image_properties(self, fingerprint: str, properties: Mapping[str, str | None]) -> None:
        self.images.set_properties(fingerprint, properties)

    def delete_image(self, fingerprint: str) -> None:
        self.images.delete(fingerprint)

    def delete_volume(self, name: str) -> None:
        self.volumes.delete(name)


if TYPE_CHECKING:
    _: type[Host] = IncusHost
