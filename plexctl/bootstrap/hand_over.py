"""The work of a master goes to other masters: its API server, its controllers, the API's address.

The first master of a plex that had one differs from those that join it: its API server writes its
own address into the service `kubernetes`, its controllers elect no leader, and the address of the
API is its own. So it ends all that before it is replaced, and the others begin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.host import Host
from plexctl.model.plex import Node, Plex
from plexctl.plan.resources.profile import NIC

TAKEN = 15.0
"""Seconds within which another master must have the address: keepalived needs two."""

SCRIPT = """\
import json, os, pathlib, signal, socket, struct, subprocess, sys, time
STATIC, HELD, RETIRED = map(pathlib.Path, (
    "/etc/kubernetes/manifests", "/etc/plexctl/manifests", "/etc/plexctl/retired"))
BATCH = pathlib.Path("/etc/plexctl/network.batch")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
def line(address, link):
    return f"address replace {address}/32 dev {link}"
def has(address, link):
    shown = ("ip", "-o", "address", "show", "dev", link, "to", f"{address}/32")
    return bool(subprocess.run(shown, capture_output=True, check=True).stdout.strip())
def send(address, link):
    # Other machines remember the card of another master for the address: announce the new one.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as link_socket:
        link_socket.bind((link, 0))
        own, ip = link_socket.getsockname()[4], socket.inet_aton(address)
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + ip + bytes(6) + ip
        link_socket.send(b"\\xff" * 6 + own + struct.pack("!H", 0x0806) + body)
def take(address, link):
    lines = BATCH.read_text().splitlines()
    if line(address, link) not in lines:
        BATCH.write_text("\\n".join((*lines, line(address, link))) + "\\n")
    subprocess.run(("ip", *line(address, link).split()), check=True)
    send(address, link)
def announce(address, link):
    if found := has(address, link):
        send(address, link)
    print(json.dumps(found))
def release(address, link):
    lines = BATCH.read_text().splitlines()
    BATCH.write_text("\\n".join(one for one in lines if one != line(address, link)) + "\\n")
    if has(address, link):
        subprocess.run(("ip", "address", "del", f"{address}/32", "dev", link), check=True)
def alone():
    files = [folder / f"{name}.yaml" for folder in (STATIC, HELD) for name in CONTROLLERS]
    print(json.dumps(any("--leader-elect=false" in f.read_text() for f in files if f.exists())))
def ours():
    # Of the static pods, not of a pod that a user has given such a program.
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\\0")
        except OSError:
            continue
        name = os.path.basename(words[0]).decode(errors="replace")
        if name in ("kube-apiserver", *CONTROLLERS) and b"/etc/kubernetes/" in b" ".join(words):
            yield int(folder.name)
def retire():
    RETIRED.mkdir(mode=0o700, exist_ok=True)
    for folder in (STATIC, HELD):
        for name in ("kube-apiserver", *CONTROLLERS):
            if (file := folder / f"{name}.yaml").exists():
                file.rename(RETIRED / file.name)
    # Again for a moment: the kubelet may restart one before it has noticed that the file is gone.
    for _ in range(6):
        for pid in ours():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
def work():
    for folder in (HELD, RETIRED):
        for file in folder.glob("*.yaml"):
            file.rename(STATIC / file.name)
verbs = {"take": take, "announce": announce, "release": release,
         "alone": alone, "retire": retire, "work": work}
verbs[sys.argv[1]](*sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The programs and the address of the masters of one plex."""

    plex: Plex
    hosts: Mapping[str, Host]

    def works_alone(self, master: Node) -> bool:
        """Whether the controllers of a master elect no leader: so far it is the only one."""
        found: bool = json.loads(self._run(master, "alone"))
        return found

    def release(self, master: Node, others: Sequence[Node]) -> None:
        """Let one of `others`, which have keepalived, have the address that a master has for good.

        PlexError if none of them takes it: then the master keeps it.
        """

        def taken() -> Observation:
            found = [one.name for one in others if self._announced(one)]
            return Observation(bool(found), "none of them has it")

        names = ", ".join(one.name for one in others)
        wait(Condition(f"one of {names} has the address of the API", taken, TAKEN))
        self._run(master, "release", *self._address())
        taken()

    def retire(self, master: Node) -> None:
        """End the API server and the controllers of a master that is replaced next."""
        self._run(master, "retire")

    def work(self, master: Node) -> None:
        """Start the controllers of a master, if they are held back, and what was retired there."""
        self._run(master, "work")

    def take(self, master: Node) -> None:
        """Give a master that is the only one from now on the address of the API, for good."""
        self._run(master, "take", *self._address())

    def _announced(self, master: Node) -> bool:
        """Whether a master has the address. If so, it has announced it again."""
        found: bool = json.loads(self._run(master, "announce", *self._address()))
        return found

    def _address(self) -> tuple[str, str]:
        return str(self.plex.networks.endpoint), NIC

    def _run(self, master: Node, *arguments: str) -> str:
        argv = ("python3", "-ISc", SCRIPT, *arguments)
        done = self.hosts[master.host].execute(master.name, argv)
        if done.code:
            last = done.stderr.strip().rpartition("\n")[2]
            raise PlexError(
                f"{master.name} cannot {PURPOSES[arguments[0]]}",
                details=(last,) if last else (),
                hint=f"see `plexctl logs {master.name} --plex {self.plex.name}`",
            )
        return done.stdout


PURPOSES = {
    "take": "take the address of the API",
    "announce": "announce the address of the API",
    "release": "release the address of the API",
    "alone": "read the settings of its controllers",
    "retire": "end its API server",
    "work": "start its controllers",
}
