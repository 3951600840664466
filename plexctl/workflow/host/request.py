"""What a machine is asked to be, and how it is reached: the request of `host prepare`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind, Repository

POOL_SIZE = "60GiB"

_INTERFACE = re.compile(r"[a-zA-Z][\w.-]{0,14}")
_PCI = re.compile(r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?")
_VENDOR = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """This machine."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A machine over SSH; who is not root needs sudo without a password."""

    address: str
    user: str = "root"
    port: int | None = None
    key: Path | None = None
    known_hosts: Path | None = None  # None: the user's own
    accept_new: bool = False  # trust the first host key that is seen


@dataclass(frozen=True, slots=True)
class InstanceTarget:
    """An instance of the Incus server of this machine."""

    name: str


Reach = LocalTarget | SshTarget | InstanceTarget


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """A storage pool. Where neither driver nor source is named: btrfs, or a folder if that fails.

    `source` is a device, or a folder on a file system of the driver; without it, btrfs takes a
    sparse file of `size`.
    """

    name: str = "default"
    driver: str = ""
    source: str = ""
    size: str = POOL_SIZE


@dataclass(frozen=True, slots=True)
class BridgeRequest:
    """A bridge that Incus does not manage. `uplink` is an interface without an address."""

    name: str
    uplink: str = ""
    address: str = ""  # "10.0.5.1/24"


@dataclass(frozen=True, slots=True)
class ProxmoxRequest:
    """What plexctl gets on a Proxmox host."""

    user: str = "plexctl@pve"
    role: str = "Plexctl"
    storage: str = "local"  # for snippets, images to import and ISO images
    disks: str = ""  # for the nodes' disks; empty: the same


@dataclass(frozen=True, slots=True)
class HostRequest:
    """What a machine is to be made. `name` is the host's in `clusters/hosts.yaml`."""

    name: str
    reach: Reach = field(default_factory=LocalTarget)
    kind: HostKind = HostKind.INCUS
    https: str = ""  # core.https_address: ":8443", "10.0.0.7:8443"; empty: as it is, or :8443
    repository: Repository = Repository.AUTO
    pool: PoolRequest | None = field(default_factory=PoolRequest)  # None: pools are left alone
    bridge: BridgeRequest | None = None
    pci: Mapping[str, str] = field(default_factory=dict)  # name -> "0000:01:00.0"
    iommu: bool = False
    vfio: tuple[str, ...] = ()  # "10de:1b80": devices kept for virtual machines
    wireguard: bool = False  # must the host have it?
    virtual_machines: bool = False
    client: str | None = None  # who gets a token: "plexctl-lab"; None: nobody
    new_token: bool = False  # also where that client has had one
    proxmox: ProxmoxRequest = field(default_factory=ProxmoxRequest)


def check(request: HostRequest) -> None:
    """UsageError for a request that cannot be met, before anything is touched."""
    asked = request.bridge
    interfaces = (asked.name, asked.uplink) if asked else ()
    for interface in filter(None, interfaces):
        if not _INTERFACE.fullmatch(interface):
            raise UsageError(f"{interface!r} is no name of a network interface (15 characters)")
    for name, device in request.pci.items():
        if not _PCI.fullmatch(device.lower()):
            raise UsageError(
                f"{name}: {device!r} is no address of a PCI device",
                hint="as `lspci -D` prints it: 0000:01:00.0",
            )
    for device in request.vfio:
        if not _VENDOR.fullmatch(device.lower()):
            raise UsageError(
                f"{device!r} names no kind of PCI device",
                hint="vendor and device, as `lspci -n` prints them: 10de:1b80",
            )
    if request.kind is HostKind.PROXMOX and request.bridge:
        raise UsageError(
            "a bridge of a Proxmox host is made in its own network settings",
            hint="Node > System > Network; then name it as `bridge` in clusters/hosts.yaml",
        )
