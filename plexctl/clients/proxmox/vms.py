"""VMs of a Proxmox node, and the templates that they are cloned from."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from plexctl.clients.proxmox import observed
from plexctl.clients.proxmox.connection import ProxmoxConnection
from plexctl.clients.proxmox.guests import ProxmoxGuests
from plexctl.clients.proxmox.refusals import GoneError
from plexctl.clients.proxmox.storage import MOVE, QUICK
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation, wait

CLONE = 600.0
"""Seconds that a clone may take."""

DISK = "scsi0"


class ProxmoxVms:
    """VMs and their templates, by identifier."""

    def __init__(self, connection: ProxmoxConnection, guests: ProxmoxGuests) -> None:
        self._connection = connection
        self._guests = guests
        self._lock = threading.Lock()
        self._template_locks: dict[str, threading.Lock] = {}

    # -- creating

    def clone(self, template: str, name: str, tags: Mapping[str, str], *, linked: bool) -> int:
        """Create a VM of a template, by identifier; returns the identifier of the VM.

        One clone of a template at a time: the server refuses a second one. What an interrupted
        run has left under this name is deleted, also if the server was still cloning it.
        """
        what = f"clone template {template} as {name}"
        options: dict[str, object] = {"full": 0}
        if not linked:
            options = {"full": 1, "storage": self._connection.spec.pool}
        with self._template_lock(template):
            wait(self._not_cloning(f"other clones of template {template}", vmid=template))
            self._guests.delete(name)
            return self._guests.with_new_id(
                lambda number: self._connection.task(
                    what,
                    "post",
                    *self._connection.node,
                    "qemu",
                    template,
                    "clone",
                    newid=number,
                    name=name,
                    description=observed.notes(tags),
                    deadline=CLONE,
                    **options,
                )
            )

    def create(self, name: str, tags: Mapping[str, str], options: Mapping[str, object]) -> int:
        """Create an empty VM, as `qm create` does; its disk may be imported, which takes long."""
        given = {
            **options,
            "name": name,
            "tags": observed.labels(tags),
            "description": observed.notes(tags),
        }
        place = (*self._connection.node, "qemu")
        return self._guests.with_new_id(
            lambda number: self._connection.task(
                f"create {name}", "post", *place, vmid=number, deadline=MOVE, **given
            )
        )

    def grow_disk(self, vmid: int, size: int) -> None:
        """Grow the disk to `size` bytes, if it is smaller."""
        what, place = f"resize the disk of VM {vmid}", (*self._connection.node, "qemu", vmid)
        config = self._connection.call(what, "get", *place, "config")
        if _size_of(str(config.get(DISK, ""))) < size:
            options = {"disk": DISK, "size": f"{-(-size >> 20)}M"}
            self._connection.task(what, "put", *place, "resize", deadline=QUICK, **options)

    def to_template(self, vmid: int, name: str, tags: Mapping[str, str]) -> None:
        """Turn a stopped VM into a template called `name`; this call is the last of a bake."""
        self._guests.configure(vmid, tags, {"name": name})
        place = (*self._connection.node, "qemu", vmid, "template")
        self._connection.task(f"create template {name}", "post", *place, deadline=CLONE)

    def delete_template(self, vmid: str) -> None:
        """Delete a template. PlexError while it has linked clones; none is no error."""
        place = (*self._connection.node, "qemu", vmid)
        with suppress(GoneError):
            self._connection.task(
                f"delete template {vmid}", "delete", *place, purge=1, deadline=QUICK
            )

    # -- programs, through the guest agent

    def agent_answers(self, name: str, *, deadline: float = 300) -> Condition:
        """The guest agent of a VM that was started answers."""
        vmid = self._guests.find(name).vmid
        place = (*self._connection.node, "qemu", vmid, "agent", "ping")

        def probe() -> Observation:
            try:
                self._connection.call(f"reach the guest agent of {name}", "post", *place)
            except UnreachableHostError:
                raise
            except PlexError as error:
                reason = error.summary.rpartition(": ")[2]
                if "agent" not in reason:
                    raise
                return Observation(False, reason)
            return Observation(True)

        return Condition(
            f"the guest agent of {name} answers",
            probe,
            deadline,
            every=0.5,
            hint=f"look at the console of {name}; its image needs qemu-guest-agent",
        )

    def execute(
        self, name: str, vmid: int, argv: tuple[str, ...], *, timeout: float
    ) -> CommandResult:
        """Run a program in the VM `name` through its guest agent. `argv` must hold no secret."""
        what, place = f"run {argv[0]} on {name}", (*self._connection.node, "qemu", vmid, "agent")
        begun = self._connection.call(what, "post", *place, "exec", command=list(argv))
        done: Mapping[str, Any] = {}

        def probe() -> Observation:
            nonlocal done
            done = self._connection.call(what, "get", *place, "exec-status", pid=begun["pid"])
            return Observation(bool(done.get("exited")), f"{argv[0]} still runs")

        wait(Condition(f"{argv[0]} ends on {name}", probe, deadline=timeout, every=0.25))
        code = int(done["exitcode"]) if "exitcode" in done else 128 + int(done.get("signal", 0))
        return CommandResult(
            argv, code, str(done.get("out-data", "")), str(done.get("err-data", ""))
        )

    # -- one clone at a time

    @contextmanager
    def _template_lock(self, template: str) -> Iterator[None]:
        with self._lock:
            lock = self._template_locks.setdefault(template, threading.Lock())
        with lock:
            yield

    def clones_finished(self) -> Condition:
        """No clone is under way, whichever process started it.

        Until a clone has finished, nothing says whose it is, not even its name.
        """
        return self._not_cloning("all clones that are under way")

    def _not_cloning(self, which: str, **filters: str) -> Condition:
        """`filters` may name the template: those of others, or of an earlier run of ours."""
        place = (*self._connection.node, "tasks")
        options = {"source": "active", "typefilter": "qmclone", **filters}

        def probe() -> Observation:
            tasks = self._connection.call("list its tasks", "get", *place, **options)
            # The list also has tasks that ended a moment ago.
            active = [one for one in tasks if _runs(one)]
            return Observation(not active, f"{active[0]['upid']} is running" if active else "")

        what = f"host {self._connection.spec.name} has finished {which}"
        return Condition(what, probe, deadline=CLONE, every=0.5)


def _runs(task: Mapping[str, Any]) -> bool:
    return not task.get("endtime") and str(task.get("status") or "running").lower() == "running"


def _size_of(drive: str) -> int:
    """Bytes of a disk, from its line of configuration: "…,size=3G"."""
    for part in drive.split(","):
        if part.startswith("size="):
            text = part.removeprefix("size=")
            units = {"K": 10, "M": 20, "G": 30, "T": 40}
            return int(float(text.rstrip("KMGT")) * (1 << units.get(text[-1], 0)))
    return 0
