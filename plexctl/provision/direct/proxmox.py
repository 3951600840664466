"""Changes of one Proxmox host: guests made, started and removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.proxmox.observed import IMAGE, WHOLE
from plexctl.model.condition import wait
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState, ObservedImage
from plexctl.model.types import Form
from plexctl.plan.resources.proxmox import pci_mappings, seed_name, seed_of
from plexctl.plan.resources.types import Instance, Owner, Resource
from plexctl.provision.direct.proxmox_lxc import container_options, write_files
from plexctl.provision.engine import Action, Change, require_image
from plexctl.provision.tags import tags


@dataclass(frozen=True, slots=True)
class ProxmoxMaker:
    """Makes the changes of one host. All that a plan has for it are instances."""

    server: ProxmoxHost
    state: HostState
    run: str
    reporter: Reporter
    before_start: Callable[[Instance], None]

    def make(self, change: Change, resource: Resource) -> None:
        assert isinstance(resource, Instance), resource.key
        name = resource.name
        if change.action is not Action.START:
            self._create(change, resource)
        self.before_start(resource)
        self.server.start(name)
        self.reporter.mark(name, "started")
        if resource.form is not Form.VM:
            return  # the server says that it has started once it has
        wait(self.server.vms.agent_answers(name))
        self.reporter.mark(name, "agent")

    def _create(self, change: Change, vm: Instance) -> None:
        """A guest is half made until its tags say that it is whole, which is written last."""
        image = require_image(self.state, vm.image, "template")
        parent = (change.parent_run or self.run) if vm.parent else None
        given = {**tags(vm, self.run, parent), IMAGE: vm.image}
        if vm.form is not Form.VM:
            self._create_container(vm, image, given)
            return
        linked = self.server.settings.linked
        vmid = self.server.vms.clone(image.fingerprint, vm.name, given, linked=linked)
        self.reporter.mark(vm.name, "created")
        if disk := dict(vm.config).get("disk"):
            self.server.vms.grow_disk(vmid, int(disk) << 20)
        seed = self.server.storage.upload_iso(seed_name(vm), seed_of(vm))
        self.server.guests.configure(vmid, {**given, WHOLE: "yes"}, options(vm, seed))
        self.reporter.mark(vm.name, "pushed")

    def _create_container(
        self, node: Instance, image: ObservedImage, given: dict[str, str]
    ) -> None:
        options = container_options(node, self.server.spec.pool)
        vmid = self.server.containers.create(node.name, image.fingerprint, given, options)
        self.reporter.mark(node.name, "created")
        write_files(self.server, vmid, node)
        self.server.guests.configure(vmid, {**given, WHOLE: "yes"}, {}, "lxc")
        self.reporter.mark(node.name, "pushed")

    def delete(self, change: Change) -> None:
        assert change.kind == "instance", change.key
        self.server.delete_instance(change.name)


def claimed(states: Mapping[str, HostState], owner: Owner) -> dict[str, HostState]:
    """`states` in which clones that nobody has configured are half-made nodes of `owner`.

    OpenTofu's provider clones first: until it goes on, a VM has the notes of its template.
    """
    return {name: _claimed(state, owner) for name, state in states.items()}


def _claimed(state: HostState, owner: Owner) -> HostState:
    bare = {
        name: replace(seen, tags={"lab": owner.lab, "plex": owner.plex}, started=False)
        for name, seen in state.instances.items()
        if seen.tags.get("plexctl.lab") == owner.lab
        and re.fullmatch(rf"{re.escape(owner.plex)}[1-9]\d*", name)
    }
    return replace(state, instances={**state.instances, **bare}) if bare else state


def options(vm: Instance, seed: str) -> dict[str, object]:
    """What Proxmox VE is told of a VM whose first disk and name it has already."""
    config = dict(vm.config)
    network = f"virtio={config['mac']},bridge={config['bridge']}"
    if "vlan" in config:
        network += f",tag={config['vlan']}"
    found: dict[str, object] = {
        "cores": int(config["cores"]),
        "memory": int(config["memory"]),
        # Memory that is taken back while it runs would be kubelet's to account for.
        "balloon": 0,
        "net0": network,
        "ide2": f"{seed},media=cdrom",
        "agent": "enabled=1",
        "onboot": 1,
    }
    mappings = pci_mappings(vm)
    if mappings:
        found["machine"] = "q35"  # the machine that has PCI Express
    for number, mapping in enumerate(mappings):
        found[f"hostpci{number}"] = f"mapping={mapping},pcie=1"
    return found
