"""A node of a Proxmox cluster as a host. Every quirk of Proxmox VE is in this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plexctl.clients.proxmox import observed
from plexctl.clients.proxmox.connection import PATIENCE, REACH, ProxmoxConnection
from plexctl.clients.proxmox.containers import ProxmoxContainers
from plexctl.clients.proxmox.guests import ProxmoxGuests
from plexctl.clients.proxmox.storage import ProxmoxStorage
from plexctl.clients.proxmox.vms import ProxmoxVms
from plexctl.errors import UnreachableHostError, UsageError
from plexctl.model.command import CommandResult
from plexctl.model.condition import wait
from plexctl.model.host_spec import HostFacts, HostSpec, Proxmox
from plexctl.model.observed import IMAGE_USER, HostState
from plexctl.model.resources import Kind
from plexctl.model.secret import Secret

if TYPE_CHECKING:
    from plexctl.model.disks import Disks
    from plexctl.model.folders import Folders
    from plexctl.model.host import Host
    from plexctl.model.kept import Keeper
    from plexctl.model.snapshots import Snapshots
    from plexctl.model.streams import Streams


class ProxmoxHost:
    """A node of a Proxmox cluster (see `model.host.Host`), by the kinds of its objects."""

    def __init__(
        self,
        spec: HostSpec,
        secret: Secret | Callable[[], Secret],
        *,
        patience: float = PATIENCE,
        reach: float = REACH,
    ) -> None:
        self.spec = spec
        self.connection = ProxmoxConnection(spec, secret, patience=patience, reach=reach)
        self.storage = ProxmoxStorage(self.connection)
        self.guests = ProxmoxGuests(self.connection, self.storage)
        self.vms = ProxmoxVms(self.connection, self.guests)
        self.containers = ProxmoxContainers(self.connection, self.guests)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def settings(self) -> Proxmox:
        """The fields of a Proxmox host in hosts.yaml that other hosts do not have."""
        return self.connection.settings

    @property
    def terminals(self) -> bool:
        return False

    @property
    def unreachable(self) -> UnreachableHostError | None:
        return self.connection.unreachable

    @property
    def snapshots(self) -> Snapshots:
        raise UsageError(
            f"refusing to take a snapshot on {self.name}: the API of Proxmox VE cannot freeze"
            " containers, so nodes would be of different instants",
            hint="nothing was changed; snapshots work on Incus hosts",
        )

    @property
    def disk_copies(self) -> Disks:
        raise UsageError(
            f"refusing to copy disks of {self.name}: Proxmox hosts have no snapshots of a plex",
            hint="nothing was changed; `vzdump` of Proxmox VE copies single guests",
        )

    @property
    def folders(self) -> Folders:
        raise UsageError(
            f"nodes on {self.name} have no folders that outlive them: Proxmox hosts are not"
            " supported yet",
            hint="nothing was changed; backups to a folder work on Incus hosts",
        )

    @property
    def keeper(self) -> Keeper:
        raise UsageError(
            f"plexctl upgrades no plex on {self.name}: Proxmox hosts are not supported yet",
            hint="nothing was changed; `plexctl up` replaces the cluster",
        )

    def version(self) -> str:
        return str(self.connection.call("read its version", "get", "version")["version"])

    def facts(self) -> HostFacts:
        """The facts in hosts.yaml, else those that the node reports; zeros while it is unreachable.

        Every kernel of Proxmox VE has control groups v2 and restricts no container.
        """
        if self.spec.facts is not None:
            return self.spec.facts
        what, place = "read its processors and memory", (*self.connection.node, "status")
        try:
            status = self.connection.call(what, "get", *place)
        except UnreachableHostError:
            return HostFacts(cgroup=2, sys_resource=True, cpus=0, memory=0)
        cpus, memory = int(status["cpuinfo"]["cpus"]), int(status["memory"]["total"])
        return HostFacts(cgroup=2, sys_resource=True, cpus=cpus, memory=memory)

    def read(self) -> HostState:
        """All guests: VMs and containers are instances, plexctl's templates are images."""
        guests, archives = self.guests.list(), self.storage.archives()
        images = (*(observed.image(g) for g in guests if g.template and g.ours), *archives)
        templates = {name: image.fingerprint for image in images for name in image.names}
        instances = {
            # If two guests share a name, the one that is not plexctl's wins: it is never changed.
            g.name: observed.instance(g, templates)
            for g in sorted(guests, key=lambda g: (not g.ours, not g.whole))
            if not (g.template and g.ours)
        }
        offset = self.connection.clock.offset
        return HostState(self.name, instances, {}, {}, images, clock_offset=offset)

    def read_instances(self) -> HostState:
        return self.read()

    def pool_free(self) -> int:
        return self.storage.free()

    def settle(self, plex: str) -> bool:
        """Waits for all clones, of other processes too: an unfinished clone has no name."""
        finished = self.vms.clones_finished()
        if finished.probe().holds:
            return False
        wait(finished)
        return True

    def start(self, name: str) -> None:
        self.guests.start(name)

    def stop(self, name: str, *, force: bool = True) -> None:
        self.guests.stop(name, force=force)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        guest = self.guests.find(name)
        if guest.kind == "lxc":
            return self.containers.execute(guest.vmid, argv, timeout=timeout)
        return self.vms.execute(name, guest.vmid, argv, timeout=timeout)

    def run(
        self, name: str, argv: tuple[str, ...], streams: Streams, *, timeout: float | None = None
    ) -> int:
        """UsageError for a terminal or input: the guest agent and `pct exec` have no streams.

        The program's output is text, which is written after its end.
        """
        from plexctl.clients.waiting import has_input

        if streams.terminal or has_input(streams.stdin):
            what = "terminal" if streams.terminal else "standard input"
            raise UsageError(
                f"refusing to run {argv[0]} on {name}: the API of Proxmox VE has no {what} for it",
                hint=f"use `plexctl ssh {name}`, or `plexctl exec {name} --no-tty … </dev/null`",
            )
        done = self.execute(name, argv, timeout=600 if timeout is None else timeout)
        for stream, text in ((streams.stdout, done.stdout), (streams.stderr, done.stderr)):
            stream.write(text.encode())
            stream.flush()
        return done.code

    def set_tags(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        """Only guests have tags."""
        self.guests.set_tags(name, tags)

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        self.guests.delete(name)

    def images_in_use(self) -> frozenset[str]:
        return frozenset(one.image for one in self.read().instances.values())

    def set_image_properties(self, fingerprint: str, properties: Mapping[str, str | None]) -> None:
        """Of a template of containers only those with the labs that use it can be set."""
        if ":" not in fingerprint:
            self.guests.set_template_tags(int(fingerprint), properties)
        elif users := {
            key.removeprefix(IMAGE_USER): value is not None
            for key, value in properties.items()
            if key.startswith(IMAGE_USER)
        }:
            self.storage.set_archive_users(fingerprint, users)

    def delete_image(self, fingerprint: str) -> None:
        """`fingerprint` is the identifier of a VM's template, or the volume of an archive."""
        if ":" in fingerprint:
            self.storage.delete_archive(fingerprint)
        else:
            self.vms.delete_template(fingerprint)

    def delete_volume(self, name: str) -> None:
        self.storage.delete(name)


if TYPE_CHECKING:
    from plexctl.model.disks import Disks

    _: type[Host] = ProxmoxHost
