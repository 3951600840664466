"""Changes of the objects of one Incus host."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.observed import HostState
from plexctl.model.resources import Kind
from plexctl.model.settings import SEED, TAG, Settings, settings
from plexctl.plan.boot.files import BOOT_TAR
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.types import Acl, Instance, Network, Profile, Resource, Volume
from plexctl.provision.change import Action, Change
from plexctl.provision.engine import ApplyJob, require_image
from plexctl.provision.seeds import has_seed, seed_pool
from plexctl.provision.tags import tagged, tags

ATTEMPTS = 5
"""An instance is created at most this often: rarely the server loses its way to the files."""


@dataclass(frozen=True, slots=True)
class IncusApplier:
    """Creates, updates, starts and deletes objects of one host."""

    incus: IncusHost
    job: ApplyJob

    def put(self, change: Change, resource: Resource) -> None:
        exists, name = change.action is Action.UPDATE, resource.name
        match resource:
            case Network(config=config, forward=forward):
                self.incus.networks.put(name, self._tagged(change, resource, config), exists=exists)
                if forward or exists:
                    self.incus.networks.put_forward(name, forward)
            case Acl(ingress=ingress, egress=egress):
                config = self._tagged(change, resource, ())
                self.incus.acls.put(name, config, ingress=ingress, egress=egress, exists=exists)
            case Profile(config=config, devices=devices):
                config = self._tagged(change, resource, config)
                self.incus.profiles.put(name, config, devices, exists=exists)
            case Volume(config=config, pool=pool):
                config = self._tagged(change, resource, config)
                self.incus.volumes.put(name, pool, config, exists=exists)
            case Instance():
                if change.action is not Action.START:
                    self.create(change, resource)
                self.start(resource)

    def start(self, instance: Instance) -> None:
        self.job.wait_to_start(instance)
        self.job.reporter.mark(instance.name, "starting")
        self.incus.start(instance.name)
        self.job.reporter.mark(instance.name, "started")

    def delete(self, change: Change) -> None:
        match change.kind:
            case Kind.INSTANCE:
                state = self.job.states[change.host]
                running = state.instances[change.name].status != "Stopped"
                self.job.reporter.mark(change.name, "leaving")
                self.incus.delete_instance(change.name, running=running)
                self.job.reporter.mark(change.name, "gone")
            case Kind.PROFILE:
                self.incus.profiles.delete(change.name)
            case Kind.NETWORK:
                self.incus.networks.delete(change.name)
            case Kind.ACL:
                self.incus.acls.delete(change.name)
            case Kind.VOLUME:
                self.incus.delete_volume(change.name)

    def create(self, change: Change, instance: Instance) -> None:
        """Create an instance with its files. Only its start marks it as complete."""
        state, mark = self.job.states[instance.host], self.job.reporter.mark
        image, spec = require_image(state, instance.image), instance.incus
        if has_seed(instance):
            write_seed(self.incus, state, instance, self.job.run)
        for _ in range(ATTEMPTS):
            mark(instance.name, "creating")
            self.incus.instances.create(
                instance.name,
                image=image.fingerprint,
                form=instance.form,
                profiles=(spec.profile,),
                config=self._tagged(change, instance, spec.config),
                devices=spec.devices,
            )
            mark(instance.name, "created")
            if has_seed(instance):
                return
            if self.incus.instances.push(instance.name, BOOT_TAR, instance.boot, mode=0o600):
                mark(instance.name, "pushed")
                return
            self.incus.delete_instance(instance.name, running=False)
        raise PlexError(
            f"host {self.incus.name} cannot write files into {instance.name}",
            hint="try again, or look into the log of the Incus daemon on that host",
        )

    def _tagged(self, change: Change, resource: Resource, config: Settings) -> Settings:
        return tagged(config, {**tags(resource, self.job.run, change), **self.job.tags})


def write_seed(incus: IncusHost, state: HostState, vm: Instance, run: str) -> None:
    """Write the seed volume of a VM, in place of the one that exists."""
    name = seed_volume(vm.name)
    if name in state.volumes:
        incus.delete_volume(name)
    own = {**vm.owner.tags, "run": run, SEED: vm.name}
    config = settings({f"{TAG}{key}": value for key, value in own.items()})
    incus.volumes.create_disc(name, seed_pool(vm), vm.boot, config)
