"""The one door to Proxmox VE (through proxmoxer). Every quirk of the server is here."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from plexctl.clients.proxmox import observed as seen
from plexctl.clients.proxmox.containers import ProxmoxContainers
from plexctl.clients.proxmox.guests import COPY, DISK, MOVE, QUICK
from plexctl.model.condition import Condition, Observation, wait

CLONE = 600.0
"""Seconds that a clone may take."""


class ProxmoxHost(ProxmoxContainers):
    """A node of a Proxmox cluster. Every call is bounded in time (seconds)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._clones: dict[str, threading.Lock] = {}

    # -- making VMs

    def clone(self, template: str, name: str, tags: Mapping[str, str], *, linked: bool) -> int:
        """Make a VM of a template, by identifier; returns that of the VM.

        One clone of a template at a time: the server refuses a second one. What an interrupted
        run has left under this name is removed, also if the server was still at it.
        """
        what = f"clone template {template} as {name}"
        how: dict[str, object] = {"full": 0}
        if not linked:
            how = {"full": 1, "storage": self.host.pool}
        with self._alone(template):
            self._others_end(template)
            self.delete_instance(name)
            return self._taking_a_number(
                lambda number: self._task(
                    what,
                    "post",
                    *self.node,
                    "qemu",
                    template,
                    "clone",
                    newid=number,
                    name=name,
                    description=seen.notes(tags),
                    deadline=CLONE,
                    **how,
                )
            )

    def create(self, name: str, tags: Mapping[str, str], options: Mapping[str, object]) -> int:
        """Make a VM of nothing, as `qm create` does; its disk may be imported, which takes long."""
        made = {**options, "name": name, "tags": seen.words(tags), "description": seen.notes(tags)}
        return self._taking_a_number(
            lambda number: self._task(
                f"make {name}", "post", *self.node, "qemu", vmid=number, deadline=MOVE, **made
            )
        )

    def grow_disk(self, vmid: int, size: int) -> None:
        """Have its disk be of `size` bytes, if it is smaller."""
        what = f"resize the disk of VM {vmid}"
        config = self._call(what, "get", *self.node, "qemu", vmid, "config")
        if _size_of(str(config.get(DISK, ""))) < size:
            wanted = f"{-(-size >> 20)}M"
            place = (*self.node, "qemu", vmid, "resize")
            self._task(what, "put", *place, disk=DISK, size=wanted, deadline=QUICK)

    def to_template(self, vmid: int, name: str, tags: Mapping[str, str]) -> None:
        """Make a stopped VM a template called `name`. It is one only when all else is done."""
        self.configure(vmid, tags, {"name": name})
        what = f"make template {name}"
        self._task(what, "post", *self.node, "qemu", vmid, "template", deadline=CLONE)

    def upload_iso(self, file: str, content: bytes) -> str:
        """Put a disk image onto the storage for them; returns its volume. One of that name goes."""
        storage = self.settings.iso
        self._task(
            f"upload {file} to storage {storage}",
            "post",
            *self.node,
            "storage",
            storage,
            "upload",
            content="iso",
            filename=(file, content),
            checksum=hashlib.sha256(content).hexdigest(),
            **{"checksum-algorithm": "sha256"},
            deadline=COPY,
        )
        return f"{storage}:iso/{file}"

    def volumes(self, storage: str) -> tuple[str, ...]:
        what = f"read storage {storage}"
        found = self._call(what, "get", *self.node, "storage", storage, "content")
        return tuple(str(one["volid"]) for one in found)

    def download(self, file: str, url: str, algorithm: str, checksum: str) -> str:
        """Have the node fetch a disk image and check it; returns its volume."""
        storage = self.settings.iso
        self._task(
            f"download {url}",
            "post",
            *self.node,
            "storage",
            storage,
            "download-url",
            content="import",
            filename=file,
            url=url,
            checksum=checksum,
            **{"checksum-algorithm": algorithm},
            deadline=MOVE,
        )
        return f"{storage}:import/{file}"

    # -- one at a time

    @contextmanager
    def _alone(self, template: str) -> Iterator[None]:
        with self._lock:
            mine = self._clones.setdefault(template, threading.Lock())
        with mine:
            yield

    def _others_end(self, template: str) -> None:
        """Wait for clones of a template that others have begun, or an earlier run of ours."""
        what = f"host {self.host.name} has ended other clones of template {template}"
        wait(Condition(what, lambda: self._cloning_ended(vmid=template), deadline=CLONE, every=0.5))

    def end_clones(self) -> bool:
        """Wait for all clones that are under way; whether there were any.

        Until it has ended nothing says whose a clone is, not even its name.
        """
        if self._cloning_ended().holds:
            return False
        what = f"host {self.host.name} has ended the clones that are under way"
        wait(Condition(what, self._cloning_ended, deadline=CLONE, every=0.5))
        return True

    def _cloning_ended(self, **of: str) -> Observation:
        """Holds while there are none; `of` may name the template."""
        place = (*self.node, "tasks")
        options = {"source": "active", "typefilter": "qmclone", **of}
        tasks = self._call("list its tasks", "get", *place, **options)
        # Those that ended a moment ago are in the list too.
        active = [one for one in tasks if _runs(one)]
        return Observation(not active, f"{active[0]['upid']} goes on" if active else "")


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
