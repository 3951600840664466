"""Changes of the guests of one Proxmox host."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.proxmox.observed import IMAGE, WHOLE
from plexctl.model.condition import wait
from plexctl.model.observed import ObservedImage
from plexctl.model.types import Form
from plexctl.plan.boot.files import BOOT_TAR
from plexctl.plan.resources.proxmox import seed_name, seed_of
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, Change
from plexctl.provision.direct.proxmox_options import (
    RAW_NODE_OPTIONS,
    container_options,
    vm_options,
)
from plexctl.provision.engine import ApplyJob, require_image
from plexctl.provision.tags import tags


@dataclass(frozen=True, slots=True)
class ProxmoxApplier:
    """Creates, starts and deletes guests. A plan has only instances for a Proxmox host."""

    server: ProxmoxHost
    job: ApplyJob

    def put(self, change: Change, resource: Resource) -> None:
        assert isinstance(resource, Instance), resource.key
        if change.action is not Action.START:
            self.create(change, resource)
        self.start(resource)

    def start(self, instance: Instance) -> None:
        name = instance.name
        self.job.wait_to_start(instance)
        self.server.start(name)
        self.job.reporter.mark(name, "started")
        if instance.form is Form.VM:  # the start of a container returns once it runs
            wait(self.server.vms.agent_answers(name))
            self.job.reporter.mark(name, "agent")

    def delete(self, change: Change) -> None:
        assert change.is_instance, change.key
        self.server.delete_instance(change.name)

    def create(self, change: Change, instance: Instance) -> None:
        """Create a guest. The tag that marks it as complete is written last."""
        image = require_image(self.job.states[instance.host], instance.image, "template")
        own = {**tags(instance, self.job.run, change), IMAGE: instance.image}
        if instance.form is Form.VM:
            self._create_vm(instance, image, own)
        else:
            self._create_container(instance, image, own)
        self.job.reporter.mark(instance.name, "pushed")

    def _create_vm(self, vm: Instance, image: ObservedImage, own: dict[str, str]) -> None:
        linked, spec = self.server.settings.linked, vm.proxmox
        vmid = self.server.vms.clone(image.fingerprint, vm.name, own, linked=linked)
        self.job.reporter.mark(vm.name, "created")
        if spec.disk:
            self.server.vms.grow_disk(vmid, spec.disk << 20)
        seed = self.server.storage.upload_iso(seed_name(vm), seed_of(vm))
        self.server.guests.configure(vmid, {**own, WHOLE: "yes"}, vm_options(spec, seed))

    def _create_container(self, node: Instance, image: ObservedImage, own: dict[str, str]) -> None:
        spec = node.proxmox
        options = container_options(spec, self.server.spec.pool)
        vmid = self.server.containers.create(node.name, image.fingerprint, own, options)
        self.job.reporter.mark(node.name, "created")
        if spec.privileged:
            self.server.containers.set_raw(vmid, RAW_NODE_OPTIONS)
        self.server.containers.write_file(vmid, BOOT_TAR, node.boot)
        self.server.guests.configure(vmid, {**own, WHOLE: "yes"}, {}, "lxc")
