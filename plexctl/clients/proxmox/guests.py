"""Guests of a Proxmox node: what is there, and what is done to one by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from plexctl.clients.proxmox import observed as seen
from plexctl.clients.proxmox.connection import ProxmoxConnection
from plexctl.clients.proxmox.observed import Guest
from plexctl.clients.proxmox.refusals import GoneError
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.hosts import HostFacts
from plexctl.model.observed import HostState, ObservedImage

DISK = "scsi0"

QUICK, COPY, MOVE = 120.0, 600.0, 1800.0
"""Seconds that tasks may take: one that moves no data, an upload, and a download or an import."""

TRIES = 100
"""Identifiers that are tried where others take them at the same time."""

READERS = 8


class ProxmoxGuests(ProxmoxConnection):
    """The guests of one node. Every call is bounded in time (seconds)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._lock = threading.Lock()
        self._given: set[int] = set()

    # -- reading

    def facts(self) -> HostFacts:
        """What was written down of it, or else what it answers; nothing is known of a silent one.

        The kernel of Proxmox VE is known: it has control groups v2, and lets containers do all.
        """
        if self.host.facts is not None:
            return self.host.facts
        try:
            status = self._call("tell its processors and memory", "get", *self.node, "status")
        except UnreachableHostError:
            return HostFacts(cgroup=2, sys_resource=True, cpus=0, memory=0)
        cpus, memory = int(status["cpuinfo"]["cpus"]), int(status["memory"]["total"])
        return HostFacts(cgroup=2, sys_resource=True, cpus=cpus, memory=memory)

    def read(self) -> HostState:
        """All guests: VMs and containers are instances, plexctl's templates are images."""
        guests = self.guests()
        images = (*(seen.image(g) for g in guests if g.template and g.ours), *self.archives())
        templates = {name: image.fingerprint for image in images for name in image.names}
        instances = {
            # Of two with one name the one that is not plexctl's counts: it is left alone.
            g.name: seen.instance(g, templates)
            for g in sorted(guests, key=lambda g: (not g.ours, not g.whole))
            if not (g.template and g.ours)
        }
        return HostState(self.host.name, instances, {}, {}, images)

    def guests(self, name: str | None = None) -> tuple[Guest, ...]:
        """VMs and containers of the node, or those of one name, as far as the token sees them."""
        found = [
            (kind, one)
            for kind in ("qemu", "lxc")
            for one in self._call("list its guests", "get", *self.node, kind)
            if name is None or one.get("name") == name
        ]
        with ThreadPoolExecutor(READERS) as pool:
            guests = pool.map(lambda pair: self._guest(*pair), found)
            return tuple(sorted((g for g in guests if g), key=lambda g: g.vmid))

    def _guest(self, kind: str, found: Mapping[str, Any]) -> Guest | None:
        if not seen.marked(found):
            return seen.guest(kind, found, None)
        vmid = int(found["vmid"])
        with suppress(GoneError):
            config = self._call(f"read VM {vmid}", "get", *self.node, kind, vmid, "config")
            return seen.guest(kind, found, config)
        return None  # it went while it was looked at

    def archives(self) -> tuple[ObservedImage, ...]:
        """plexctl's templates of containers."""
        return ()

    def pool_free(self) -> int:
        """Bytes that are left in the storage."""
        what = f"read storage {self.host.pool}"
        status = self._call(what, "get", *self.node, "storage", self.host.pool, "status")
        return int(status["avail"])

    # -- instances, by name

    def start(self, name: str) -> None:
        guest = self.find(name)
        place = (*self.node, guest.kind, guest.vmid, "status", "start")
        self._task(f"start {name}", "post", *place, deadline=QUICK)

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop at once, or (`force` false) as the system does if it follows within a minute."""
        guest = self.find(name)
        how, options = ("stop", {}) if force else ("shutdown", {"timeout": 60, "forceStop": 1})
        place = (*self.node, guest.kind, guest.vmid, "status", how)
        self._task(f"stop {name}", "post", *place, deadline=QUICK, **options)

    def agent_answers(self, name: str, *, deadline: float = 300) -> Condition:
        """That the guest agent of a VM that was started answers."""
        place = (*self.node, "qemu", self.find(name).vmid, "agent", "ping")

        def probe() -> Observation:
            try:
                self._call(f"reach the guest agent of {name}", "post", *place)
            except UnreachableHostError:
                raise
            except PlexError as error:
                if "agent" not in error.summary.rpartition(": ")[2]:
                    raise
                return Observation(False, error.summary.rpartition(": ")[2])
            return Observation(True)

        return Condition(
            f"the guest agent of {name} answers",
            probe,
            deadline,
            every=0.5,
            hint=f"look at the console of {name}; its image needs qemu-guest-agent",
        )

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program in a VM through its guest agent; no secret may be in `argv`."""
        what, guest = f"run {argv[0]} on {name}", self.find(name)
        place = (*self.node, "qemu", guest.vmid, "agent")
        begun = self._call(what, "post", *place, "exec", command=list(argv))
        done: Mapping[str, Any] = {}

        def probe() -> Observation:
            nonlocal done
            done = self._call(what, "get", *place, "exec-status", pid=begun["pid"])
            return Observation(bool(done.get("exited")), "it still runs")

        wait(Condition(f"{argv[0]} ends on {name}", probe, deadline=timeout, every=0.25))
        code = int(done["exitcode"]) if "exitcode" in done else 128 + int(done.get("signal", 0))
        return CommandResult(
            argv, code, str(done.get("out-data", "")), str(done.get("err-data", ""))
        )

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        """Remove plexctl's guests of that name with their disks and their seeds.

        None is no error. One that plexctl did not make is never touched.
        """
        for guest in self._named(name):
            if guest.template:
                continue
            with suppress(GoneError):
                self._delete(guest)

    def delete_image(self, fingerprint: str) -> None:
        """Remove a template, by identifier or volume. PlexError while it has linked clones."""
        if ":" in fingerprint:
            self.delete_volume(fingerprint)
            return
        place = (*self.node, "qemu", fingerprint)
        with suppress(GoneError):
            self._task(f"delete template {fingerprint}", "delete", *place, purge=1, deadline=QUICK)

    def configure(
        self,
        vmid: int,
        tags: Mapping[str, str],
        options: Mapping[str, object],
        kind: str = "qemu",
    ) -> None:
        """Set options of a guest, and its tags."""
        self._call(
            f"configure guest {vmid}",
            "put",
            *self.node,
            kind,
            vmid,
            "config",
            tags=seen.words(tags),
            description=seen.notes(tags),
            **options,
        )

    def delete_volume(self, volume: str) -> None:
        """Remove an image or a download. One that is gone already is no error."""
        storage = volume.partition(":")[0]
        place = (*self.node, "storage", storage, "content", volume)
        with suppress(GoneError):
            self._task(f"delete {volume}", "delete", *place, deadline=QUICK)

    def find(self, name: str) -> Guest:
        """The guest of plexctl with this name."""
        for guest in self._named(name):
            return guest
        raise PlexError(f"host {self.host.name} has no instance {name}")

    def _named(self, name: str) -> Iterable[Guest]:
        return [g for g in self.guests(name) if g.ours]

    def _delete(self, guest: Guest) -> None:
        """Half made before anything of it goes: whatever interrupts this, it is found again."""
        place, what = (*self.node, guest.kind, guest.vmid), f"delete {guest.name}"
        if guest.status != "stopped":
            self._task(f"stop {guest.name}", "post", *place, "status", "stop", deadline=QUICK)
        if guest.iso:
            tags = {key: value for key, value in guest.tags.items() if key != seen.WHOLE}
            self.configure(guest.vmid, tags, {"ide2": "none,media=cdrom"})
            self.delete_volume(guest.iso)
        options = {"purge": 1, "destroy-unreferenced-disks": 1}
        self._task(what, "delete", *place, deadline=QUICK, **options)

    def _taking_a_number(self, make: Callable[[int], object]) -> int:
        """Make a VM with the first identifier that nobody has."""
        for _ in range(TRIES):
            number = self._free_number()
            try:
                make(number)
            except PlexError as error:
                if "already exists" not in error.summary:
                    raise
                continue  # taken by somebody whose guests the token may not see
            return number
        raise PlexError(
            f"host {self.host.name} has no free VM identifier from {self.settings.first_id} on",
            hint="give it another `first_id` in clusters/hosts.yaml",
        )

    def _free_number(self) -> int:
        found = self._call("list the cluster's guests", "get", "cluster", "resources", type="vm")
        taken = {int(one["vmid"]) for one in found}
        with self._lock:
            number = self.settings.first_id
            while number in taken or number in self._given:
                number += 1
            self._given.add(number)
        return number
