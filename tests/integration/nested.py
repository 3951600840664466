"""A second Incus host on this machine: a privileged container that was prepared as users do it.

    with NestedHost(tmp_path) as nested:
        nested.url, nested.certificate, nested.token()

The first use applies the role `host` to a fresh Debian container, which takes about a minute, and
publishes the image `plextest-host-<hash>`; with that, a host is there within seconds. The hash is
of the role and of the base, so that neither is ever tested in an older form.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from types import TracebackType

from filelock import FileLock

from plexctl.config.builtin import builtin
from plexctl.model.condition import Condition, Observation, TimedOutError, wait
from plexctl.workflow.host.prepare import apply_role
from plexctl.workflow.host.request import HostRequest, InstanceTarget, PreparedHost, SshTarget
from tests.null_reporter import NullReporter

from .machine import GATEWAY, Machine
from .support import CHECKOUT, PLEXCTL, host

PREFIX = "plextest-host-"
PORT = 8443
POOL = "default"
POOL_FOLDER = "/var/lib/plextest-pool"
PANICKED = ("journalctl", "--quiet", "--unit=incus", "--since=-3min", "--grep=^panic: ")
"""A command that succeeds if the daemon has panicked lately."""

HERE_ALONE = f"""\
# The machines of this lab.
hosts:
  local:  # this one
    kind: incus
    address: {GATEWAY.ip}
"""
"""A hosts.yaml with this machine, as such a host reaches it."""


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

    def kill(self) -> None:
        """End its daemon in the middle of whatever it does; the machine's systemd restarts it."""
        self.run("kill", "-KILL", self._daemon())

    def wait_for_daemon(self) -> None:
        """Wait until its daemon answers. Restart one that hangs or panics in its start.

        Incus 6.0.4 does that if a container stops meanwhile; its networks may stay unavailable.
        """
        with suppress(TimedOutError):
            self._wait("its daemon answers, and has its networks", self._works)
            if not self.answers(*PANICKED):
                return
        print(self.run("journalctl", "--no-pager", "--lines=60", "--unit=incus"))
        self.run("systemctl", "restart", "incus.service")
        self._wait("its daemon answers, and has its networks", self._works)

    def _works(self) -> bool:
        if not self._responds():
            return False
        return '"Unavailable"' not in self.run("incus", "query", "/1.0/networks?recursion=1")

    def _responds(self) -> bool:
        return self.answers("timeout", "3", "incus", "query", "/1.0/instances?recursion=2")

    def _daemon(self) -> str:
        """Its process, as the container counts them."""
        unit = self.run("systemctl", "show", "--property=MainPID", "--value", "incus.service")
        assert int(unit) > 1, unit
        return unit.strip()

    def _wait(self, what: str, look: Callable[[], bool]) -> None:
        wait(Condition(f"{self.name}: {what}", lambda: Observation(look()), 120, every=0.2))


def base_image() -> str:
    """Fingerprint of the newest base that plexctl has baked: Debian with systemd and SSH."""
    if not (bases := _bases()):
        words = (PLEXCTL, "-C", CHECKOUT / "tests" / "lab", "bake", "adm")
        subprocess.run(words, check=True, timeout=1800)
        bases = _bases()
    return bases[-1]


def _bases() -> list[str]:
    """By the time of their making, the oldest first."""
    done = subprocess.run(
        ("incus", "image", "list", "plex-base-", "--format=csv", "--columns=uF"),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    lines = sorted(line.rpartition(",") for line in done.stdout.split("\n") if line)
    return [line[2] for line in lines]


def prepared_image(work: Path) -> str:
    """Fingerprint of the image of a prepared host, which is made if it is missing."""
    with FileLock(Path(tempfile.gettempdir()) / "plextest-host.lock", timeout=600):
        base = base_image()
        name = PREFIX + _digest(base)
        for image in host().images.list():
            if name in image.names:
                return image.fingerprint
        return _publish(work, base, name)


def _publish(work: Path, base: str, name: str) -> str:
    incus = host()
    machine = Machine(work, "plextest-prepare", IPv4Interface("198.18.77.250/24"))
    machine.create(base)
    try:
        # All but the storage pool: a folder that is one does not survive in an image.
        run(machine, HostRequest(machine.name, InstanceTarget(machine.name), pool=None))
        # What must not be the same on two hosts; and nothing of it is to be under way.
        machine.run("systemctl", "stop", "incus.service", "incus.socket")
        machine.run("sh", "-c", "rm -f /var/lib/incus/server.* /etc/machine-id")
        machine.run("sh", "-c", ": > /etc/machine-id; rm -rf /var/lib/apt/lists/*; apt-get clean")
        incus.stop(machine.name)
        for image in incus.images.list():
            for old in image.names:
                if old.startswith(PREFIX):
                    incus.delete_image(image.fingerprint)
        return incus.images.publish(machine.name, name, {})
    finally:
        machine.destroy()


def run(machine: Machine, request: HostRequest) -> PreparedHost:
    """Apply the role."""
    return apply_role(machine.work, machine.work / "cache", request, NullReporter())


def login(machine: Machine) -> SshTarget:
    """How users reach it."""
    return SshTarget(str(machine.address.ip), key=machine.key, known_hosts=machine.known_hosts)


def changed(result: PreparedHost) -> set[str]:
    return {item.name for item in result.items if item.changed}


def _digest(base: str) -> str:
    role = builtin("roles") / "host"
    digest = hashlib.sha256(base.encode())
    for path in sorted(path for path in role.rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            digest.update(path.relative_to(role).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
