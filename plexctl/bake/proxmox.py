"""Bake a recipe to a template on a Proxmox host."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import yaml

from plexctl.bake.baker import BAKER, left_behind, this_process
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.claims import claim, is_claimed
from plexctl.bake.clean import VM_CLEAN
from plexctl.bake.cleanup import properties
from plexctl.bake.incus import IncusBuilder
from plexctl.bake.layer import apply_layer, check_programs
from plexctl.bake.lock import BakeLock
from plexctl.bake.stage import stage_layer
from plexctl.bake.vztmpl import copy_as_archive, find_archive
from plexctl.clients import ansible
from plexctl.clients.private_folder import private_folder
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.ssh import SshClient
from plexctl.errors import PlexError
from plexctl.keys.ssh import SshKey, derived_key
from plexctl.model.condition import wait
from plexctl.model.events import Step
from plexctl.model.files import write_private
from plexctl.model.host_spec import VM_FACTS, HostFacts
from plexctl.model.lab_id import is_lab, short
from plexctl.model.types import Base, Form
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.recipes import Recipe, layers

STAGE = "/var/tmp/plexctl"  # noqa: S108 - of the VM that is baked, which has no other users
DISK = 12 << 30
"""Bytes of a template's disk: a node's own size may be larger, never smaller."""

SIZE: Mapping[str, object] = {"cores": 2, "memory": 2048}
"""Of the VM while it is baked."""

BOOT, INSTALL, SEND = 300.0, 1800.0, 1800.0
"""Seconds until a fresh VM takes SSH, for packages, and for a layer's files."""

MACHINE: Mapping[str, object] = {
    "machine": "q35",
    "cpu": "host",
    "ostype": "l26",
    "scsihw": "virtio-scsi-single",
    "boot": "order=scsi0",
    "serial0": "socket",
    "vga": "serial0",
    "agent": "enabled=1",
}


@dataclass(frozen=True, slots=True)
class BakeAddress:
    """The network of a VM while it is baked: an address that no node has, on a bridge."""

    address: IPv4Interface
    router: IPv4Address
    bridge: str
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class ProxmoxBuilder:
    """Bakes templates of VMs on a Proxmox host, and makes templates of containers from images.

    A template of VMs is baked in one VM: on the nearest layer below that is a template, or else on
    the base's disk image. `bake_address` is called only to bake one. `containers` is called for the
    builder of the Incus images that templates of containers are made from.
    """

    server: ProxmoxHost
    setup: BakeSetup
    bake_address: Callable[[], BakeAddress]
    containers: Callable[[], IncusBuilder]

    def ensure(self, recipe: Recipe, nodes: HostFacts) -> BakedImage:
        if recipe.base.form is Form.VM:
            return self._vm_template(recipe)
        return self._container_template(recipe, nodes)

    def _vm_template(self, recipe: Recipe) -> BakedImage:
        bake = _TemplateBake(self.server, self.setup)
        lock = self._lock(bake.sweep)
        if found := bake.find(recipe):
            lock.clean_up()
            return found
        with lock.alone() as temporary:
            if found := bake.find(recipe):  # another bake has baked it meanwhile
                return found
            address, reporter = self.bake_address(), self.setup.reporter
            with reporter.step(f"bake {recipe.name}", expect="about 10 minutes") as step:
                return bake.template(recipe, address, temporary, lock.folder, step)

    def _container_template(self, recipe: Recipe, nodes: HostFacts) -> BakedImage:
        if found := find_archive(self.server, recipe.name, self.setup.lab):
            return found
        local = self.containers()
        image = local.ensure(recipe, nodes)
        with self._lock(lambda: None).alone() as temporary:
            return copy_as_archive(
                local.incus, self.server, image, self.setup.lab, self.setup.reporter, temporary
            )

    def _lock(self, sweep: Callable[[], None]) -> BakeLock:
        return BakeLock(self.setup.work, self.server.name, sweep, self.setup.reporter)


@dataclass(frozen=True, slots=True)
class _TemplateBake:
    server: ProxmoxHost
    setup: BakeSetup

    @property
    def lab(self) -> str:
        return self.setup.lab

    def find(self, recipe: Recipe) -> BakedImage | None:
        """The recipe's template if the host has it. It has the lab's mark then."""
        state = self.server.read()
        found = state.image(recipe.name)
        if found and not is_claimed(found, self.lab):
            names = (layer.name for layer in layers(recipe))
            claim(self.server, state.images, names, self.lab)
        return BakedImage(recipe.name, found.fingerprint, changed=False) if found else None

    def sweep(self) -> None:
        """Delete what bakes have left; of other labs what a process left that has surely ended.

        The caller holds the lock.
        """
        for name, seen in self.server.read().instances.items():
            ours = is_lab(seen.tags.get("lab"), self.lab)
            if "bake" in seen.tags and left_behind(seen.tags, ours=ours):
                self.server.delete_instance(name)
        mine = f"plex-bake-{short(self.lab)}-"
        for volume in self.server.storage.volumes():
            if volume.partition("/")[2].startswith(mine):
                self.server.storage.delete(volume)

    def template(
        self, recipe: Recipe, place: BakeAddress, work: Path, logs: Path, step: Step
    ) -> BakedImage:
        name = f"plex-bake-{recipe.layer.name}-{recipe.digest[:8]}-{os.getpid()}"
        tags = {"lab": self.lab, "bake": recipe.name, BAKER: str(this_process())}
        vmid, below = self._machine(recipe, name, tags, step)
        self.server.vms.grow_disk(vmid, DISK)
        with (
            # The bake's key ends with this process, unlike the other files in `work`.
            private_folder("keys", work) as keys,
            self._booted(vmid, name, tags, place, keys, step) as (ssh, key),
        ):
            for layer in layers(recipe):
                if below is None or layer.digest not in _digests(below):
                    self._layer(layer, ssh, key, name, work, logs, step)
            step.progress("clean up")
            ssh.run(f"rm -rf {STAGE} /root/.ssh/authorized_keys\n{VM_CLEAN}", timeout=120)
        step.progress("create the template")
        self.server.vms.to_template(vmid, recipe.name, properties(recipe, self.lab))
        return BakedImage(recipe.name, str(vmid), changed=True)

    def _machine(
        self, recipe: Recipe, name: str, tags: Mapping[str, str], step: Step
    ) -> tuple[int, Recipe | None]:
        """Create a stopped VM; returns its identifier and the layer that it has already."""
        for layer in reversed(layers(recipe)):
            if found := self.find(layer):
                step.progress(f"clone {layer.name}")
                return self.server.vms.clone(found.fingerprint, name, tags, linked=False), layer
        step.progress(f"download the disk image of {recipe.base.name}")
        volume = self._disk_image(recipe.base)
        step.progress("import the disk image")
        disk = f"{self.server.spec.pool}:0,import-from={volume},discard=on,iothread=1"
        vmid = self.server.vms.create(name, tags, {**MACHINE, **SIZE, "scsi0": disk})
        self.server.storage.delete(volume)
        return vmid, None

    def _disk_image(self, base: Base) -> str:
        assert base.url is not None, base.name  # the configuration is checked
        assert base.checksum is not None, base.name
        algorithm, _, checksum = base.checksum.partition(":")
        file = f"plex-bake-{short(self.lab)}-{base.name}.qcow2"
        return self.server.storage.download(file, base.url, algorithm, checksum)

    @contextmanager
    def _booted(
        self,
        vmid: int,
        name: str,
        tags: Mapping[str, str],
        place: BakeAddress,
        keys: Path,
        step: Step,
    ) -> Iterator[tuple[SshClient, Path]]:
        """Start a VM with keys of this bake alone, in the folder `keys`; stop it at the end."""
        host_key, client_key = self._keys(name)
        key, known_hosts = keys / "key", keys / "known_hosts"
        write_private(key, client_key.private.reveal())
        address = str(place.address.ip)
        known_hosts.write_text(f"{address} {host_key.public}\n")
        mac = _mac(name)
        disk = seed_iso(
            b"", _user_data(host_key, client_key), _network(place, mac), _meta_data(name)
        )
        file = f"plex-bake-{short(self.lab)}-{name}.iso"
        seed = self.server.storage.upload_iso(file, disk)
        vlan = f",tag={place.vlan}" if place.vlan else ""
        network = f"virtio={mac},bridge={place.bridge}{vlan}"
        options = {**SIZE, "ide2": f"{seed},media=cdrom", "net0": network}
        self.server.guests.configure(vmid, tags, options)
        self.server.start(name)
        step.progress(f"wait until {name} takes SSH")
        ssh = SshClient(address, "root", key, known_hosts)
        wait(
            ssh.answers(
                f"{name} takes SSH at {address}",
                deadline=BOOT,
                hint=f"check that {address} is free and this machine reaches its network",
            )
        )
        yield ssh, key
        self.server.stop(name, force=False)
        self.server.guests.configure(vmid, tags, {"ide2": "none,media=cdrom"})
        self.server.storage.delete(seed)

    def _keys(self, name: str) -> tuple[SshKey, SshKey]:
        host, client = (("bake", "ssh", kind, name) for kind in ("host", "client"))
        return derived_key(self.setup.seed, host, name), derived_key(
            self.setup.seed, client, "plexctl-bake"
        )

    def _layer(
        self,
        layer: Recipe,
        ssh: SshClient,
        key: Path,
        name: str,
        work: Path,
        logs: Path,
        step: Step,
    ) -> None:
        role = self.setup.find_role(layer.role)
        if layer.parent is None:
            step.progress(f"install the packages of {layer.base.name}")
            script = _INSTALL + " ".join(layer.base.packages)
            done = ssh.run(script, timeout=INSTALL, check=False)
            if done.code != 0:
                raise PlexError(
                    f"base {layer.base.name}: its packages cannot be installed",
                    details=done.stderr.splitlines()[-12:],
                    hint=f"check that a VM at {ssh.address} reaches the package mirror",
                )
        step.progress(f"copy the files of {layer.layer.name}")
        staged = stage_layer(layer, role, self.setup.artifacts, work / layer.layer.name)
        ssh.run(f"rm -rf {STAGE}", timeout=60)
        ssh.send(staged, STAGE, timeout=SEND)
        apply_layer(
            layer,
            role,
            (name, ansible.ssh(ssh.address, key=key, known_hosts=ssh.known_hosts)),
            stage=STAGE,
            nodes=VM_FACTS,
            step=step,
            work=work,
            logs=logs,
        )
        check_programs(
            layer, self.setup.artifacts, lambda script: ssh.run(script, timeout=60, check=False)
        )


def _digests(recipe: Recipe) -> set[str]:
    return {layer.digest for layer in layers(recipe)}


def _mac(name: str) -> str:
    """An address below the prefix of nodes, another one for each bake."""
    return "10:66:6a:" + ":".join(f"{b:02x}" for b in hashlib.sha256(name.encode()).digest()[:3])


def _user_data(host: SshKey, client: SshKey) -> str:
    config = {
        "disable_root": False,
        "manage_etc_hosts": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host.private.reveal_text(), "ed25519_public": host.public},
        "users": [{"name": "root", "ssh_authorized_keys": [client.public]}],
    }
    return "#cloud-config\n" + yaml.safe_dump(config)


def _network(place: BakeAddress, mac: str) -> str:
    router = str(place.router)
    link = {
        "match": {"macaddress": mac},
        "addresses": [str(place.address)],
        "routes": [{"to": "0.0.0.0/0", "via": router}],
        "nameservers": {"addresses": [router]},
    }
    return yaml.safe_dump({"version": 2, "ethernets": {"bake": link}})


def _meta_data(name: str) -> str:
    return yaml.safe_dump({"instance-id": name, "local-hostname": name})


_INSTALL = """\
set -eu
! command -v cloud-init >/dev/null || cloud-init status --wait >/dev/null || true
export DEBIAN_FRONTEND=noninteractive
apt-get --quiet update
apt-get --quiet --yes --no-install-recommends install """
