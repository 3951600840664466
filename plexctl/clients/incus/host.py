"""An Incus server as a host. Every quirk of the server and of pylxd is in this package."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from plexctl.clients.host_facts import local_facts
from plexctl.clients.incus.connection import Credentials, IncusConnection
from plexctl.clients.incus.images import IncusImages
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.networks import IncusNetworks, IncusProfiles
from plexctl.clients.incus.volumes import IncusVolumes
from plexctl.errors import UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.condition import wait
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.observed import HostState

if TYPE_CHECKING:
    from plexctl.model.host import Host


def load() -> None:
    """Load pylxd, which the first call does otherwise."""
    importlib.import_module("pylxd")


class IncusHost:
    """An Incus server (see `model.host.Host`), by the kinds of its objects."""

    def __init__(self, spec: HostSpec, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self.connection = IncusConnection(spec, credentials)
        self.images = IncusImages(self.connection)
        self.instances = IncusInstances(self.connection)
        self.networks = IncusNetworks(self.connection)
        self.profiles = IncusProfiles(self.connection)
        self.volumes = IncusVolumes(self.connection)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def unreachable(self) -> UnreachableHostError | None:
        return self.connection.unreachable

    def facts(self) -> HostFacts:
        """The facts in hosts.yaml, or those of this machine. No call is made."""
        return self.spec.facts or local_facts()

    def read(self) -> HostState:
        """All instances, networks, profiles, images and volumes: one recursive call a kind.

        The calls run at the same time: the server takes long to list what uses a network or a
        volume.
        """
        self.connection.connect()
        with ThreadPoolExecutor() as pool:
            instances, networks = pool.submit(self.instances.list), pool.submit(self.networks.list)
            profiles, images = pool.submit(self.profiles.list), pool.submit(self.images.list)
            return HostState(
                self.name,
                instances.result(),
                networks.result(),
                profiles.result(),
                images.result(),
                self.volumes.list(),
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
        if settled.probe().holds:
            return False
        wait(settled)
        return True

    def start(self, name: str) -> None:
        self.instances.start(name)

    def stop(self, name: str, *, force: bool = True) -> None:
        self.instances.stop(name, force=force)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        return self.instances.execute(name, argv, timeout=timeout)

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        self.instances.delete(name, running=running)

    def delete_image(self, fingerprint: str) -> None:
        self.images.delete(fingerprint)

    def delete_volume(self, name: str) -> None:
        self.volumes.delete(name)


if TYPE_CHECKING:
    _: type[Host] = IncusHost
