"""A second Incus host on this machine: a privileged container that was prepared as users do it.

    with NestedHost(tmp_path) as nested:
        nested.url, nested.certificate, nested.token()

The first use applies the role `host` to a fresh Debian container, which takes about a minute, and
publishes the image `plextest-host-<hash>`; with that, a host is there within seconds. The hash is
of the role and of the base, so that neither is ever tested in an older form.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from types import TracebackType

from filelock import FileLock

from plexctl.clients.incus import Incus
from plexctl.config.builtin import builtin
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Seen, wait
from plexctl.model.events import Outcome
from plexctl.model.types import Form
from plexctl.plan.profile import NIC, container_config
from plexctl.plan.resources import devices, settings
from plexctl.workflow.host_prepare import PrepareResult, prepare
from plexctl.workflow.host_request import HostRequest, Instance

from .support import LOCAL, host

PREFIX = "plextest-host-"
BRIDGE = "plextest"
GATEWAY = IPv4Interface("198.18.77.1/24")
"""Of a network set aside for tests between devices (RFC 2544)."""

ADDRESS = IPv4Interface("198.18.77.11/24")
PORT = 8443
POOL = "default"
POOL_FOLDER = "/var/lib/plextest-pool"


class Quiet:
    """A Reporter that nobody listens to; also the steps of one."""

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[Quiet]:
        yield self

    def mark(self, node: str, what: str) -> None: ...

    def progress(self, text: str, done: float | None = None) -> None: ...

    def end(self, outcome: Outcome, text: str = "") -> None: ...


@dataclass
class Machine:
    """A Debian container with systemd and SSH, on the bridge `plextest` unless told otherwise.

    `work` is a folder for its keys and for logs. Made by `create`; `destroy` leaves nothing.
    """

    work: Path
    name: str = "plextest1"
    address: IPv4Interface = ADDRESS
    network: str = BRIDGE
    gateway: IPv4Interface = GATEWAY
    files: Mapping[str, str] = field(default_factory=dict)  # more of its files, by path

    @property
    def incus(self) -> Incus:
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
        if self.network == BRIDGE:
            make_bridge(self.incus)
        config = container_config(privileged=True, facts=self.incus.facts())
        if init:
            config["raw.lxc"] += f"\nlxc.init.cmd={init}"
        disk = {"type": "disk", "path": "/", "pool": LOCAL.pool}
        nic = {"type": "nic", "network": self.network, "name": NIC}
        kmsg = {"type": "unix-char", "source": "/dev/kmsg", "path": "/dev/kmsg"}
        self.incus.create(
            self.name,
            image=image,
            form=Form.CONTAINER,
            profiles=(),
            config=settings(config),
            devices=devices({"root": disk, NIC: nic, "kmsg": kmsg}),
        )
        self.incus.push(self.name, "/var/lib/plexctl/boot.tar", self._boot_tar(), mode=0o600)
        self.incus.start(self.name)

    def run(self, *words: str, timeout: float = 60) -> str:
        """What a command in it prints; it must end well."""
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
            with suppress(PlexError):  # another one is on it, or it is gone
                self.incus.delete_network(BRIDGE)

    def _boot_tar(self) -> bytes:
        """What plex-boot.service unpacks first of all; see docs/architecture.md."""
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


@dataclass
class NestedHost(Machine):
    """A prepared host: an Incus server that answers over HTTPS, with a storage pool."""

    certificate: str = ""
    """SHA-256 of its server's certificate, in hex. No two hosts have the same."""

    @property
    def url(self) -> str:
        return f"https://{self.address.ip}:{PORT}"

    def __enter__(self) -> NestedHost:
        self.create(prepared_image(self.work))
        self._wait("Incus in it answers", lambda: self.answers("incus", "admin", "waitready"))
        self.run("incus", "storage", "create", POOL, "btrfs", f"source={POOL_FOLDER}")
        facts = self.run("incus", "query", "/1.0").split('"certificate_fingerprint": "')[1]
        self.certificate = facts.partition('"')[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.destroy()

    def token(self, client: str = "plexctl-test") -> str:
        """A token that lets one client in, once."""
        return self.run("incus", "config", "trust", "add", "--quiet", client).split()[-1]

    def freeze(self) -> None:
        """Stop its daemon in the middle of whatever it does: it takes calls, and never answers."""
        self.run("kill", "-STOP", self._daemon())

    def thaw(self) -> None:
        self.run("kill", "-CONT", self._daemon())

    def _daemon(self) -> str:
        """Its process, as the container counts them."""
        unit = self.run("systemctl", "show", "--property=MainPID", "--value", "incus.service")
        assert int(unit) > 1, unit
        return unit.strip()

    def _wait(self, what: str, look: Callable[[], bool]) -> None:
        wait(Condition(f"{self.name}: {what}", lambda: Seen(look()), 60, every=0.2))


def make_bridge(incus: Incus) -> None:
    """The network of such machines; it leads to the package mirrors."""
    if BRIDGE in incus.read().networks:
        return
    config = {
        "ipv4.address": str(GATEWAY),
        "ipv4.nat": "true",
        "ipv4.dhcp": "false",
        "ipv6.address": "none",
    }
    incus.put_network(BRIDGE, settings(config), exists=False)


def base_image() -> str:
    """Fingerprint of the newest base that plexctl has baked: Debian with systemd and SSH."""
    # By the time of their making, the oldest first.
    done = subprocess.run(
        ("incus", "image", "list", "plex-base-", "--format=csv", "--columns=uF"),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    lines = sorted(line.rpartition(",") for line in done.stdout.split("\n") if line)
    assert lines, "no base is baked: run `plexctl bake` once"
    return lines[-1][2]


def prepared_image(work: Path) -> str:
    """Fingerprint of the image of a prepared host, which is made if it is missing."""
    with FileLock(Path(tempfile.gettempdir()) / "plextest-host.lock", timeout=600):
        base = base_image()
        name = PREFIX + _digest(base)
        for image in host().images():
            if name in image.names:
                return image.fingerprint
        return _publish(work, base, name)


def _publish(work: Path, base: str, name: str) -> str:
    incus = host()
    machine = Machine(work, "plextest-prepare", IPv4Interface("198.18.77.250/24"))
    machine.create(base)
    try:
        prepare_instance(machine)
        # What must not be the same on two hosts; and nothing of it is to be under way.
        machine.run("systemctl", "stop", "incus.service", "incus.socket")
        machine.run("sh", "-c", "rm -f /var/lib/incus/server.* /etc/machine-id")
        machine.run("sh", "-c", ": > /etc/machine-id; rm -rf /var/lib/apt/lists/*; apt-get clean")
        incus.stop(machine.name)
        for image in incus.images():
            for old in image.names:
                if old.startswith(PREFIX):
                    incus.delete_image(image.fingerprint)
        return incus.publish(machine.name, name, {})
    finally:
        machine.destroy()


def prepare_instance(machine: Machine) -> PrepareResult:
    """All but the storage pool: a folder that is one does not survive in an image."""
    request = HostRequest(machine.name, Instance(machine.name), pool=None)
    return prepare(machine.work, machine.work / "cache", request, Quiet())


def _digest(base: str) -> str:
    role = builtin("roles") / "host"
    digest = hashlib.sha256(base.encode())
    for path in sorted(path for path in role.rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            digest.update(path.relative_to(role).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


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
