"""The engine `direct`: calls to the hosts' own APIs. What exists is the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from plexctl.clients.incus.host import IncusHost
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.model.host import Host
from plexctl.model.observed import HostState
from plexctl.model.settings import Settings
from plexctl.model.types import Form
from plexctl.plan.boot.files import BOOT_TAR
from plexctl.plan.resources.types import Instance, Network, Profile, Resource, Volume
from plexctl.provision.diff import diff
from plexctl.provision.direct.graph import Task, run_tasks
from plexctl.provision.direct.proxmox import ProxmoxMaker, claimed
from plexctl.provision.direct.seeds import put_seed
from plexctl.provision.engine import LEAVING, Action, Change, DiffOptions, require_image
from plexctl.provision.read import read_hosts
from plexctl.provision.tags import tagged, tags

ATTEMPTS = 5
"""So often an instance is made until its files are in it: the server loses its way rarely."""


@dataclass(frozen=True, slots=True)
class DirectEngine:
    """One client per host; as many instances are made at once as each host allows."""

    hosts: Mapping[str, Host]

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return read_hosts(self.hosts, hosts)

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return diff(resources, claimed(states, options.owner), options)

    def apply(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        leaving, making = [], []
        for change in changes:
            host = change.host
            maker = _maker(self.hosts[host], states[host], run, reporter, before_start)
            if change.action in LEAVING:
                work = partial(maker.delete, change)
                leaving.append(
                    Task(_leaving(change.key), work, _before_leaving(change, changes), host)
                )
            if change.resource is not None:
                work = partial(maker.make, change, change.resource)
                making.append(Task(change.key, work, _before(change, changes), host))
        limits = {name: self.hosts[name].spec.parallel for name in {c.host for c in changes}}
        # New workers may be held back until their master is there, which waits for all old ones
        # to be gone: these must not wait behind those.
        run_tasks((*leaving, *making), limits)


def _leaving(key: str) -> str:
    return f"{key} leaves"


def _before(change: Change, changes: Sequence[Change]) -> tuple[str, ...]:
    """A resource needs what it names and its predecessor gone; a master also its old workers.

    They hold valid keys: a worker of the old cluster would register with the new one.
    """
    assert change.resource is not None
    old_workers = (
        c.key
        for c in changes
        if c.kind == "instance" and c.parent == change.key and c.action in LEAVING
    )
    return (*change.resource.needs, *map(_leaving, (change.key, *old_workers)))


def _before_leaving(change: Change, changes: Sequence[Change]) -> tuple[str, ...]:
    """What goes needs those that use it to be gone."""
    users = {
        "instance": (),
        "profile": ("instance",),
        "network": ("instance", "profile"),
        "volume": ("instance",),
    }
    return tuple(
        _leaving(c.key) for c in changes if c.action in LEAVING and c.kind in users[change.kind]
    )


def _maker(
    client: Host,
    state: HostState,
    run: str,
    reporter: Reporter,
    before_start: Callable[[Instance], None],
) -> _Maker | ProxmoxMaker:
    if isinstance(client, ProxmoxHost):
        return ProxmoxMaker(client, state, run, reporter, before_start)
    assert isinstance(client, IncusHost), client.name
    return _Maker(client, state, run, reporter, before_start)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the changes of one host."""

    incus: IncusHost
    state: HostState
    run: str
    reporter: Reporter
    before_start: Callable[[Instance], None]

    def make(self, change: Change, resource: Resource) -> None:
        exists = change.action is Action.UPDATE
        match resource:
            case Network(name=name):
                config = self._tagged(resource, resource.config)
                self.incus.networks.put(name, config, exists=exists)
            case Profile(name=name):
                config = self._tagged(resource, resource.config)
                self.incus.profiles.put(name, config, resource.devices, exists=exists)
            case Volume(name=name, pool=pool):
                config = self._tagged(resource, resource.config)
                self.incus.volumes.put(name, pool, config, exists=exists)
            case Instance(name=name):
                if change.action is not Action.START:
                    self._create(change, resource)
                self.before_start(resource)
                self.reporter.mark(name, "starting")
                self.incus.start(name)
                self.reporter.mark(name, "started")

    def _create(self, change: Change, instance: Instance) -> None:
        """An instance that was never started is half made: the start comes last."""
        image = require_image(self.state, instance.image)
        parent = (change.parent_run or self.run) if instance.parent else None
        if instance.form is Form.VM:
            put_seed(self.incus, self.state, instance, self.run)
        for _ in range(ATTEMPTS):
            self.reporter.mark(instance.name, "creating")
            self.incus.instances.create(
                instance.name,
                image=image.fingerprint,
                form=instance.form,
                profiles=(instance.profile,),
                config=self._tagged(instance, instance.config, parent),
                devices=instance.devices,
            )
            self.reporter.mark(instance.name, "created")
            if instance.form is Form.VM:
                return  # it finds its files on its seed
            if self.incus.instances.push(instance.name, BOOT_TAR, instance.boot, mode=0o600):
                self.reporter.mark(instance.name, "pushed")
                return
            self.incus.delete_instance(instance.name, running=False)
        raise PlexError(
            f"host {self.incus.spec.name} cannot write files into {instance.name}",
            hint="try again, or look into the log of the Incus daemon there",
        )

    def delete(self, change: Change) -> None:
        match change.kind:
            case "instance":
                running = self.state.instances[change.name].status != "Stopped"
                self.reporter.mark(change.name, "leaving")
                self.incus.delete_instance(change.name, running=running)
                self.reporter.mark(change.name, "gone")
            case "profile":
                self.incus.profiles.delete(change.name)
            case "network":
                self.incus.networks.delete(change.name)
            case "volume":
                self.incus.delete_volume(change.name)

    def _tagged(self, resource: Resource, config: Settings, parent: str | None = None) -> Settings:
        return tagged(config, tags(resource, self.run, parent))
