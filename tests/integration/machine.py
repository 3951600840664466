"""A machine for tests: a privileged Debian container of this machine's Incus, with SSH."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from filelock import FileLock

from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.settings import devices, settings
from plexctl.model.types import Form
from plexctl.plan.resources.profile import NIC, container_config

from .support import LOCAL, host

BRIDGE = "plextest"
GATEWAY = IPv4Interface("198.18.77.1/24")
"""Of a network set aside for tests between devices (RFC 2544)."""

ADDRESS = IPv4Interface("198.18.77.11/24")


@dataclass
class Machine:
    """A Debian container with systemd and SSH, on the bridge `plextest` by default.

    `work` is a folder for its keys and for logs. Made by `create`; `destroy` leaves nothing.
    """

    work: Path
    name: str = "plextest1"
    address: IPv4Interface = ADDRESS
    network: str = BRIDGE
    gateway: IPv4Interface = GATEWAY
    files: Mapping[str, str] = field(default_factory=dict)  # more of its files, by path

    @property
    def incus(self) -> IncusHost:
        """The server that it runs on."""
        return host()

    @property
    def key(self) -> Path:
        """An SSH key that root of it lets in."""
        return self.work / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.work / "known_hosts"

    def create(self, image: str, *, init: str | None = None) -> None:
        """Make and start it; what an earlier one of that name has left is removed.

        `init` takes the place of systemd.
        """
        self.destroy()
        config = container_config(privileged=True, facts=self.incus.facts())
        if init:
            config["raw.lxc"] += f"\nlxc.init.cmd={init}"
        disk = {"type": "disk", "path": "/", "pool": LOCAL.pool}
        nic = {"type": "nic", "network": self.network, "name": NIC}
        kmsg = {"type": "unix-char", "source": "/dev/kmsg", "path": "/dev/kmsg"}
        with _bridge_lock():
            if self.network == BRIDGE:
                make_bridge(self.incus)
            self.incus.instances.create(
                self.name,
                image=image,
                form=Form.CONTAINER,
                profiles=(),
                config=settings(config),
                devices=devices({"root": disk, NIC: nic, "kmsg": kmsg}),
            )
        self.incus.instances.push(
            self.name, "/var/lib/plexctl/boot.tar", self._boot_tar(), mode=0o600
        )
        self.incus.start(self.name)

    def run(self, *words: str, timeout: float = 60) -> str:
        """The output of a command on the machine, which must succeed."""
        done = self.incus.execute(self.name, words, timeout=timeout)
        assert done.code == 0, f"{words} in {self.name}: {done}"
        return done.stdout

    def answers(self, *words: str) -> bool:
        with suppress(PlexError):
            return self.incus.execute(self.name, words, timeout=10).code == 0
        return False

    def destroy(self) -> None:
        if self.name in {seen.name for seen in self.incus.read().instances.values()}:
            self.incus.delete_instance(self.name)
        if self.network == BRIDGE:
            with _bridge_lock(), suppress(PlexError):  # another one is on it, or it is gone
                self.incus.networks.delete(BRIDGE)

    def _boot_tar(self) -> bytes:
        """The tar that plex-boot.service unpacks; see docs/architecture.md."""
        self.work.mkdir(parents=True, exist_ok=True)
        host_key = self.work / f"{self.name}-host-key"
        for key in (self.key, host_key):
            if not key.exists():
                words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", key)
                subprocess.run(words, check=True, timeout=20)
        public = host_key.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"{self.address.ip} {public}")
        network = (
            "link set dev lo up\n"
            f"link set dev {NIC} up\n"
            f"address add {self.address} dev {NIC}\n"
            f"route add default via {self.gateway.ip}\n"
        )
        return _tar(
            {
                "etc/hostname": (f"{self.name}\n", 0o644),
                "etc/hosts": (f"127.0.0.1 localhost\n{self.address.ip} {self.name}\n", 0o644),
                "etc/resolv.conf": (f"nameserver {self.gateway.ip}\n", 0o644),
                "etc/plexctl/network.batch": (network, 0o644),
                "etc/ssh/ssh_host_ed25519_key": (host_key.read_text(), 0o600),
                "etc/ssh/ssh_host_ed25519_key.pub": (public, 0o644),
                "root/.ssh/authorized_keys": (self.key.with_suffix(".pub").read_text(), 0o600),
                **{path.lstrip("/"): (text, 0o644) for path, text in self.files.items()},
            }
        )


def _bridge_lock() -> FileLock:
    """A lock: a run that ends must not delete the bridge that another run is about to use."""
    return FileLock(Path(tempfile.gettempdir()) / "plextest-bridge.lock", timeout=120)


def make_bridge(
    incus: IncusHost, name: str = BRIDGE, gateway: IPv4Interface = GATEWAY, *, nat: bool = True
) -> None:
    """A network of such machines; with `nat` it leads to the package mirrors."""
    if name in incus.read().networks:
        return
    config = {
        "ipv4.address": str(gateway),
        "ipv4.nat": str(nat).lower(),
        "ipv4.dhcp": "false",
        "ipv6.address": "none",
    }
    incus.networks.put(name, settings(config), exists=False)


def _tar(files: Mapping[str, tuple[str, int]]) -> bytes:
    """All of root's; sshd and plex-boot.service refuse anything else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("root/.ssh")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for name, (text, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
