"""`FakePve`: what a test holds in its hand."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fake_pve import agent, cluster, lxc, lxc_config, qemu, qemu_config, qemu_copy
from tests.fake_pve import storage as storage_content
from tests.fake_pve.access import Access, Privileges
from tests.fake_pve.faults import Faults
from tests.fake_pve.server import Server
from tests.fake_pve.state import Cluster, Guest, Request, Storage, Volume, default_storages
from tests.fake_pve.tasks import Tasks
from tests.fake_pve.tls import self_signed

PARTS = (
    agent,
    cluster,
    lxc,
    lxc_config,
    qemu,
    qemu_config,
    qemu_copy,
    storage_content,
)  # they register routes


class FakePve:
    """A cluster behind one HTTPS port of 127.0.0.1, alive between `with` and its end.

    `task_seconds`, `clone_seconds` and `agent_seconds` say how long tasks run, clones take, and
    an agent is silent after its VM was started; all may be changed at any time. `on_start` is
    called with each guest that starts, before its task ends; `agent_addresses` gives the
    addresses (with or without prefix) that a VM's agent reports on its first interface;
    `on_exec` runs what is asked of the agent and gives exit code, output and error output.
    `busy_source` is what a second clone of a VM meets while the first runs: "locked" and "lockfile"
    are answers 500 of two kinds, "task" is a task that fails at the file lock (as PVE 9 does with
    running sources), "allowed" lets both run (as PVE 9 does with templates on idle storages).
    """

    def __init__(
        self,
        *,
        nodes: Iterable[str] = ("pve1",),
        storages: Iterable[Storage] | None = None,
        task_seconds: float = 0.0,
        clone_seconds: float = 0.0,
        agent_seconds: float = 0.0,
        ticket_seconds: float = 7200.0,
        on_start: Callable[[Guest], None] | None = None,
        on_stop: Callable[[Guest], None] | None = None,
        agent_addresses: Callable[[Guest], Iterable[str]] | None = None,
        on_exec: Callable[[Guest, list[str], str], tuple[int, str, str]] | None = None,
        busy_source: str = "locked",
        port: int = 0,
    ) -> None:
        named = {one.name: one for one in storages} if storages is not None else None
        self.cluster = Cluster(list(nodes), named or default_storages())
        self.task_seconds = task_seconds
        self.clone_seconds = clone_seconds
        self.agent_seconds = agent_seconds
        self.on_start = on_start
        self.on_stop = on_stop
        self.agent_addresses = agent_addresses
        self.on_exec = on_exec
        self.busy_source = busy_source
        self.clock_offset = 0.0  # seconds of its clock
        self.access = Access(ticket_seconds)
        self.tasks = Tasks(self)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self.pids = 1000
        self._certificate = self_signed()
        self._folder = tempfile.TemporaryDirectory(prefix="fake-pve-")
        self._server = Server(self, self._certificate.context(), port)

    def __enter__(self) -> FakePve:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.tasks.stopping.set()
        self.faults.thaw()
        self._server.stop()
        self._folder.cleanup()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def url(self) -> str:
        """`https://127.0.0.1:PORT`, what a user would open in a browser."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as PVE shows it: AA:BB:…."""
        return self._certificate.fingerprint

    @property
    def certificate_pem(self) -> str:
        """The certificate, which is its own authority; valid for localhost and 127.0.0.1."""
        return self._certificate.pem

    @property
    def folder(self) -> Path:
        """Where uploaded bytes are kept until the end."""
        return Path(self._folder.name)

    @property
    def vms(self) -> dict[int, Guest]:
        """All guests by number, VMs and containers: the state itself, not a copy."""
        return self.cluster.guests

    @property
    def storages(self) -> dict[str, Storage]:
        """All storages by name, with their volumes."""
        return self.cluster.storages

    def add_token(self, user: str, token: str, privileges: Privileges = None) -> str:
        """A token; gives its secret. `privileges`: all, those on /, or those by path."""
        return self.access.add_token(user, token, privileges)

    def add_user(self, user: str, password: str, privileges: Privileges = None) -> None:
        """A user who can ask for a ticket."""
        self.access.add_user(user, password, privileges)

    def add_mapping(self, name: str, maps: Iterable[str]) -> None:
        """A PCI mapping; each of `maps` is `node=…,path=0000:01:00.0,id=10de:2204`."""
        self.cluster.pci[name] = {
            "id": name,
            "map": list(maps),
            "type": "pci",
            "description": "",
        }

    def add_volume(self, volid: str, data: bytes = b"", size: int | None = None) -> Volume:
        """A file that is there from the start, as an administrator would have put it.

        `volid` is `local:iso/x.iso`, `local:import/x.qcow2`, `local:snippets/x.yaml`, …; `size` is
        that of the disk in bytes, where it differs from the file's.
        """
        storage = self.cluster.storage(volid.partition(":")[0])
        kind = volid.partition(":")[2].partition("/")[0]
        staged = self.folder / "staged"
        staged.write_bytes(data)
        volume = storage_content.keep(storage, volid, kind, staged, self.folder)
        volume.size = volume.size if size is None else size
        return volume

    def fail_next(
        self, method: str, path: str, status: int, reason: str, *,
        count: int = 1, after: bool = False,
    ) -> None:  # fmt: skip
        """Let the next `count` requests whose path (below /api2/json) matches `path` fail.

        With `after` the request is done, and only its answer is lost. Status 0 closes the
        connection without an answer.
        """
        self.faults.plan(method, re.compile(path), status, reason, count, after)

    def fail_task(self, kind: str, exitstatus: str) -> None:
        """Let the next task of this type (`qmclone`, `qmstart`, …) end with this error."""
        self.tasks.failures.append((kind, exitstatus))

    def freeze(self) -> None:
        """Accept connections and answer nothing, as a host does that was stopped."""
        self.faults.freeze()

    def thaw(self) -> None:
        """Answer again, first what has come meanwhile."""
        self.faults.thaw()

    def node_down(self, node: str, status: int = 595, reason: str = "No route to host") -> None:
        """Let requests to a node fail as they do when pveproxy of another cannot reach it."""
        self.cluster.down[node] = status, reason

    def node_up(self, node: str) -> None:
        """Let a node be reachable again."""
        self.cluster.down.pop(node, None)

    def expire_tickets(self) -> None:
        """Let every ticket given out so far be too old."""
        known = self.access.tickets
        for ticket, (identity, _, csrf) in list(known.items()):
            known[ticket] = identity, float("-inf"), csrf

    def wait_tasks(self, timeout: float = 30.0) -> None:
        """Wait for all tasks there are; for tests that look at the state, not at UPIDs."""
        for task in list(self.tasks.all.values()):
            if not task.ended.wait(timeout):
                raise TimeoutError(task.upid)

    def paths(self, method: str = "") -> list[str]:
        """The paths asked so far, of one method or of all."""
        return [one.path for one in self.requests if method in {"", one.method}]

    def answer(self, request: Request, uploads: Mapping[str, Path]) -> Any:
        """The answer of the API to a request; raises `ApiError`. For the server."""
        from tests.fake_pve.dispatch import answer

        return answer(self, request, dict(uploads))
