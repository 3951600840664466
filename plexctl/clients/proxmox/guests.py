"""Guests of a Proxmox node: their list, and the calls that VMs and containers have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from plexctl.clients.proxmox import observed
from plexctl.clients.proxmox.connection import ProxmoxConnection
from plexctl.clients.proxmox.observed import Guest
from plexctl.clients.proxmox.refusals import GoneError
from plexctl.clients.proxmox.storage import QUICK, ProxmoxStorage
from plexctl.errors import PlexError
from plexctl.model.lab_id import is_lab

TRIES = 100
"""Identifiers that are tried where others take them at the same time."""

READERS = 8


class ProxmoxGuests:
    """VMs and containers, by name; `vmid` is a guest's identifier in the cluster."""

    def __init__(self, connection: ProxmoxConnection, storage: ProxmoxStorage) -> None:
        self._connection = connection
        self._storage = storage
        self._lock = threading.Lock()
        self._given: set[int] = set()

    # -- reading

    def list(self, name: str | None = None) -> tuple[Guest, ...]:
        """VMs and containers of the node, or those of one name, as far as the token sees them."""
        found = [
            (kind, one)
            for kind in ("qemu", "lxc")
            for one in self._connection.call("list its guests", "get", *self._connection.node, kind)
            if name is None or one.get("name") == name
        ]
        with ThreadPoolExecutor(READERS) as pool:
            guests = pool.map(lambda pair: self._guest(*pair), found)
            return tuple(sorted((g for g in guests if g), key=lambda g: g.vmid))

    def _guest(self, kind: str, found: Mapping[str, Any]) -> Guest | None:
        if not observed.marked(found):
            return observed.guest(kind, found, None)
        vmid = int(found["vmid"])
        place = (*self._connection.node, kind, vmid, "config")
        with suppress(GoneError):
            config = self._connection.call(f"read VM {vmid}", "get", *place)
            return observed.guest(kind, found, config)
        return None  # it was deleted meanwhile

    def find(self, name: str) -> Guest:
        """The guest of plexctl with this name. PlexError if there is none."""
        for guest in self._named(name):
            return guest
        raise PlexError(f"host {self._connection.spec.name} has no instance {name}")

    def _named(self, name: str) -> tuple[Guest, ...]:
        return tuple(guest for guest in self.list(name) if guest.ours)

    # -- changing

    def start(self, name: str) -> None:
        guest = self.find(name)
        place = (*self._connection.node, guest.kind, guest.vmid, "status", "start")
        try:
            self._connection.task(f"start {name}", "post", *place, deadline=QUICK)
        except PlexError as error:  # the node starts its guests after its own start
            if "already running" not in " ".join((error.summary, *error.details)):
                raise

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop at once, or (`force` false) as the system does if it follows within a minute."""
        guest = self.find(name)
        how, options = ("stop", {}) if force else ("shutdown", {"timeout": 60, "forceStop": 1})
        place = (*self._connection.node, guest.kind, guest.vmid, "status", how)
        self._connection.task(f"stop {name}", "post", *place, deadline=QUICK, **options)

    def configure(
        self,
        vmid: int,
        tags: Mapping[str, str],
        options: Mapping[str, object],
        kind: str = "qemu",
    ) -> None:
        """Set options of a guest, and its tags."""
        self._connection.call(
            f"configure guest {vmid}",
            "put",
            *self._connection.node,
            kind,
            vmid,
            "config",
            tags=observed.labels(tags),
            description=observed.notes(tags),
            **options,
        )

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Write the tags of a lab's guests of that name, in place of those that they have."""
        for guest in self._named(name):
            same = guest.tags.get("plex") == tags["plex"]
            if same and is_lab(guest.tags.get("lab"), tags["lab"]) and not guest.template:
                with suppress(GoneError):
                    self.configure(guest.vmid, tags, {}, guest.kind)

    def set_template_tags(self, vmid: int, tags: Mapping[str, str | None]) -> None:
        """Set tags of one of plexctl's templates, or drop those that are None; all others stay."""
        for guest in self.list():
            if guest.vmid == vmid and guest.template and guest.ours:
                merged = {**guest.tags, **tags}
                kept = {key: value for key, value in merged.items() if value is not None}
                self.configure(vmid, kept, {}, guest.kind)

    def delete(self, name: str) -> None:
        """Delete plexctl's guests of that name with their disks and their seeds.

        None is no error. One that plexctl did not create is never touched.
        """
        for guest in self._named(name):
            if guest.template:
                continue
            with suppress(GoneError):
                self._delete(guest)

    def _delete(self, guest: Guest) -> None:
        """Mark the guest as incomplete first, so a later run finds it after an interruption."""
        place = (*self._connection.node, guest.kind, guest.vmid)
        if guest.status != "stopped":
            stop = (*place, "status", "stop")
            self._connection.task(f"stop {guest.name}", "post", *stop, deadline=QUICK)
        if guest.iso:
            tags = {key: value for key, value in guest.tags.items() if key != observed.WHOLE}
            self.configure(guest.vmid, tags, {"ide2": "none,media=cdrom"})
            self._storage.delete(guest.iso)
        options = {"purge": 1, "destroy-unreferenced-disks": 1}
        what = f"delete {guest.name}"
        self._connection.task(what, "delete", *place, deadline=QUICK, **options)

    # -- identifiers

    def with_new_id(self, create: Callable[[int], object]) -> int:
        """Call `create` with the first identifier that no guest has; returns the identifier."""
        for _ in range(TRIES):
            number = self._free_id()
            try:
                create(number)
            except PlexError as error:
                if "already exists" not in error.summary:
                    raise
                continue  # taken by somebody whose guests the token may not see
            return number
        first = self._connection.settings.first_id
        raise PlexError(
            f"host {self._connection.spec.name} has no free VM identifier from {first} on",
            hint="give it another `first_id` in clusters/hosts.yaml",
        )

    def _free_id(self) -> int:
        what, place = "list the cluster's guests", ("cluster", "resources")
        found = self._connection.call(what, "get", *place, type="vm")
        taken = {int(one["vmid"]) for one in found}
        with self._lock:
            number = self._connection.settings.first_id
            while number in taken or number in self._given:
                number += 1
            self._given.add(number)
        return number
