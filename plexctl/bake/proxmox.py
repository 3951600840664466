"""From a recipe to a template of VMs on a Proxmox host."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import yaml

from plexctl.bake.bake import BakedImage
from plexctl.bake.clean import VM_CLEAN
from plexctl.bake.cleanup import properties
from plexctl.bake.layer import apply_layer
from plexctl.bake.lock import BakeLock
from plexctl.bake.roles import FindRole
from plexctl.bake.stage import stage_layer
from plexctl.clients import ansible
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.ssh import SshClient
from plexctl.depot.store import Stored
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import SshKey, derived_key
from plexctl.model.condition import wait
from plexctl.model.events import Reporter, Step
from plexctl.model.files import write_private
from plexctl.model.hosts import VM_FACTS
from plexctl.model.types import Base
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.recipes import Recipe, layers

STAGE = "/var/tmp/plexctl"  # noqa: S108 - of the VM that is baked, where nobody else is
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
    """Where a VM is while it is baked: an address that no node has, on a bridge of the host."""

    address: IPv4Interface
    router: IPv4Address
    bridge: str
    vlan: int | None = None


def ensure_template(
    server: ProxmoxHost,
    recipe: Recipe,
    *,
    artifacts: Mapping[str, Stored],
    find_role: FindRole,
    bench: Callable[[], BakeAddress],
    seed: RootSeed,
    reporter: Reporter,
    work: Path,
) -> BakedImage:
    """Have the template of `recipe` on the host of `server`.

    It is baked in one VM, on the nearest layer below that is a template, or else on the base's
    disk image. A template that is there is never touched; what `bench` says is asked for only to
    bake one. PlexError if it cannot be baked.
    """
    bake = _TemplateBake(server, artifacts, find_role, seed, reporter)
    folder = work / server.name
    turns = BakeLock(folder, lambda: bake.sweep(), reporter)
    if found := bake.find(recipe):
        turns.mend()
        return found
    with turns.alone() as temporary:
        if found := bake.find(recipe):  # somebody baked it meanwhile
            return found
        place = bench()
        with reporter.step(f"bake {recipe.name}", expect="about 10 minutes") as step:
            return bake.template(recipe, place, temporary, folder, step)


@dataclass(frozen=True, slots=True)
class _TemplateBake:
    server: ProxmoxHost
    artifacts: Mapping[str, Stored]
    find_role: FindRole
    seed: RootSeed
    reporter: Reporter

    def find(self, recipe: Recipe) -> BakedImage | None:
        found = self.server.read().image(recipe.name)
        return BakedImage(recipe.name, found.fingerprint, changed=False) if found else None

    def sweep(self) -> None:
        """Remove what bakes of this lab have left. No bake of it may be under way."""
        for name, seen in self.server.read().instances.items():
            if seen.tags.get("lab") == self.seed.lab_id and "bake" in seen.tags:
                self.server.delete_instance(name)
        mine = f"plex-bake-{self.seed.lab_id}-"
        for volume in self.server.storage.volumes():
            if volume.partition("/")[2].startswith(mine):
                self.server.storage.delete(volume)

    def template(
        self, recipe: Recipe, bench: BakeAddress, work: Path, logs: Path, step: Step
    ) -> BakedImage:
        name = f"plex-bake-{recipe.layer.name}-{recipe.digest[:8]}-{os.getpid()}"
        tags = {"lab": self.seed.lab_id, "bake": recipe.name}
        vmid, below = self._machine(recipe, name, tags, step)
        self.server.vms.grow_disk(vmid, DISK)
        with self._booted(vmid, name, tags, bench, work, step) as (ssh, key):
            for layer in layers(recipe):
                if below is None or layer.digest not in _digests(below):
                    self._layer(layer, ssh, key, name, work, logs, step)
            step.progress("clean up")
            ssh.run(f"rm -rf {STAGE} /root/.ssh/authorized_keys\n{VM_CLEAN}", timeout=120)
        step.progress("make the template")
        self.server.vms.to_template(vmid, recipe.name, properties(recipe, self.seed.lab_id))
        return BakedImage(recipe.name, str(vmid), changed=True)

    def _machine(
        self, recipe: Recipe, name: str, tags: Mapping[str, str], step: Step
    ) -> tuple[int, Recipe | None]:
        """A stopped VM, and the layer that it has already."""
        for layer in reversed(layers(recipe)):
            if found := self.find(layer):
                step.progress(f"clone {layer.name}")
                return self.server.vms.clone(found.fingerprint, name, tags, linked=False), layer
        step.progress(f"fetch the disk image of {recipe.base.name}")
        volume = self._disk_image(recipe.base)
        step.progress("import the disk image")
        disk = f"{self.server.spec.pool}:0,import-from={volume},discard=on,iothread=1"
        vmid = self.server.vms.create(name, tags, {**MACHINE, **SIZE, "scsi0": disk})
        self.server.storage.delete(volume)
        return vmid, None

    def _disk_image(self, base: Base) -> str:
        assert base.url is not None, base.name  # the configuration is checked for both
        assert base.checksum is not None, base.name
        algorithm, _, checksum = base.checksum.partition(":")
        file = f"plex-bake-{self.seed.lab_id}-{base.name}.qcow2"
        return self.server.storage.download(file, base.url, algorithm, checksum)

    @contextmanager
    def _booted(
        self,
        vmid: int,
        name: str,
        tags: Mapping[str, str],
        bench: BakeAddress,
        work: Path,
        step: Step,
    ) -> Iterator[tuple[SshClient, Path]]:
        """Start a VM with keys of this bake alone, and stop it when it is done."""
        host_key, client_key = self._keys(name)
        key, known_hosts = work / "key", work / "known_hosts"
        write_private(key, client_key.private.reveal())
        address = str(bench.address.ip)
        known_hosts.write_text(f"{address} {host_key.public}\n")
        mac = _mac(name)
        disk = seed_iso(
            b"", _user_data(host_key, client_key), _network(bench, mac), _meta_data(name)
        )
        file = f"plex-bake-{self.seed.lab_id}-{name}.iso"
        seed = self.server.storage.upload_iso(file, disk)
        vlan = f",tag={bench.vlan}" if bench.vlan else ""
        network = f"virtio={mac},bridge={bench.bridge}{vlan}"
        options = {**SIZE, "ide2": f"{seed},media=cdrom", "net0": network}
        self.server.guests.configure(vmid, tags, options)
        self.server.start(name)
        step.progress(f"wait for {name}")
        ssh = SshClient(address, "root", key, known_hosts)
        wait(
            ssh.answers(
                f"{name} takes SSH at {address}",
                deadline=BOOT,
                hint=f"does this machine reach {bench.address.network}; is {address} free?",
            )
        )
        yield ssh, key
        self.server.stop(name, force=False)
        self.server.guests.configure(vmid, tags, {"ide2": "none,media=cdrom"})
        self.server.storage.delete(seed)

    def _keys(self, name: str) -> tuple[SshKey, SshKey]:
        host, client = (("bake", "ssh", kind, name) for kind in ("host", "client"))
        return derived_key(self.seed, host, name), derived_key(self.seed, client, "plexctl-bake")

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
        role = self.find_role(layer.role)
        if layer.parent is None:
            step.progress(f"install the packages of {layer.base.name}")
            script = _INSTALL + " ".join(layer.base.packages)
            done = ssh.run(script, timeout=INSTALL, check=False)
            if done.code != 0:
                raise PlexError(
                    f"base {layer.base.name}: its packages cannot be installed",
                    details=done.stderr.splitlines()[-12:],
                    hint=f"does a VM at {ssh.address} reach the package mirror?",
                )
        step.progress(f"copy the files of {layer.layer.name}")
        staged = stage_layer(layer, role, self.artifacts, work / layer.layer.name)
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


def _digests(recipe: Recipe) -> set[str]:
    return {layer.digest for layer in layers(recipe)}


def _mac(name: str) -> str:
    """An address below the prefix that nodes have, of which each bake has another one."""
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


def _network(bench: BakeAddress, mac: str) -> str:
    router = str(bench.router)
    link = {
        "match": {"macaddress": mac},
        "addresses": [str(bench.address)],
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
