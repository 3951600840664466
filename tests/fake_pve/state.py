"""The state of the fake cluster: nodes, guests, storages with their volumes, PCI mappings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fake_pve.errors import RefusedError

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, secrets included, before anything judged it."""

    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True)
class Guest:
    """A VM (`kind` "qemu") or a container ("lxc"); `config` is what its file would hold."""

    vmid: int
    node: str
    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    status: str = "stopped"
    started: float = 0.0  # time.monotonic() of the last start
    files: dict[str, bytes] = field(default_factory=dict)  # written through the agent
    execs: dict[int, dict[str, Any]] = field(default_factory=dict)  # by pid
    pending: dict[str, Any] = field(default_factory=dict)
    clones: int = 0  # clones of it that are under way

    @property
    def name(self) -> str:
        """Its name, or the one that PVE shows where none was given."""
        key, default = ("name", "VM") if self.kind == "qemu" else ("hostname", "CT")
        return str(self.config.get(key) or f"{default}{self.vmid}")

    @property
    def template(self) -> bool:
        """Whether it is a template: can be cloned by link, cannot be started."""
        return bool(self.config.get("template"))

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.status == "running"

    @property
    def lock(self) -> str:
        """The reason for its lock; empty without a lock."""
        return str(self.config.get("lock", ""))

    @property
    def tags(self) -> list[str]:
        """Its tags, in order."""
        return [tag for tag in str(self.config.get("tags", "")).split(";") if tag]

    @property
    def digest(self) -> str:
        """The checksum that guards its configuration against lost updates."""
        text = json.dumps(self.config, sort_keys=True)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def check_lock(self) -> None:
        """Refuse, in PVE's words, while it is locked."""
        word = "VM" if self.kind == "qemu" else "CT"
        if self.lock:
            raise RefusedError(f"{word} is locked ({self.lock})")


@dataclass(slots=True)
class Volume:
    """A disk, an image or a file of a storage; `path` has the bytes of what was uploaded."""

    volid: str
    content: str
    format: str
    size: int
    vmid: int | None = None
    parent: str | None = None  # the base volume of a linked clone
    path: Path | None = None

    @property
    def data(self) -> bytes:
        """The uploaded bytes, for tests that look inside."""
        return self.path.read_bytes() if self.path else b""


@dataclass(slots=True)
class Storage:
    """A storage as `/etc/pve/storage.cfg` would name it, with what is on it."""

    name: str
    type: str
    content: frozenset[str]
    shared: bool = False
    total: int = 500 * GIB
    volumes: dict[str, Volume] = field(default_factory=dict)

    @property
    def files(self) -> bool:
        """Whether disks are files in a folder per guest."""
        return self.type in {"dir", "nfs", "cifs", "btrfs"}

    @property
    def used(self) -> int:
        """Bytes of all its volumes."""
        return sum(volume.size for volume in self.volumes.values())


def default_storages() -> dict[str, Storage]:
    """The state after an installation, with the contents that labs commonly add to `local`."""
    local = Storage("local", "dir", frozenset({"iso", "vztmpl", "backup", "snippets", "import"}))
    thin = Storage("local-lvm", "lvmthin", frozenset({"images", "rootdir"}))
    return {storage.name: storage for storage in (local, thin)}


@dataclass(slots=True)
class Cluster:
    """All state; guarded by the lock of `FakePve`."""

    nodes: list[str]
    storages: dict[str, Storage]
    guests: dict[int, Guest] = field(default_factory=dict)
    pci: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: dict[str, tuple[int, str]] = field(default_factory=dict)  # node: status, reason
    bridges: set[str] = field(default_factory=lambda: {"vmbr0"})  # on every node
    pools: dict[str, set[int]] = field(default_factory=dict)

    def guest(self, kind: str, node: str, vmid: int) -> Guest:
        """The guest that a path names; PVE looks for its file in the folder of that node."""
        guest = self.guests.get(vmid)
        if guest is None or guest.kind != kind or guest.node != node:
            folder = "qemu-server" if kind == "qemu" else "lxc"
            path = f"nodes/{node}/{folder}/{vmid}.conf"
            raise RefusedError(f"Configuration file '{path}' does not exist")
        return guest

    def storage(self, name: str) -> Storage:
        """The storage of this name."""
        if name not in self.storages:
            raise RefusedError(f"storage '{name}' does not exist")
        return self.storages[name]

    def volume(self, volid: str) -> Volume:
        """The volume of this identifier."""
        volume = self.storage(volid.partition(":")[0]).volumes.get(volid)
        if volume is None:
            raise RefusedError(f"volume '{volid}' does not exist")
        return volume
