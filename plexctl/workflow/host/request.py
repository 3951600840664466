"""The request of `host prepare`, and its outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plexctl.errors import PlexError, UsageError
from plexctl.model.kinds import HostKind, Repository
from plexctl.model.secret import Secret
from plexctl.results.hosts import PreparedRow

POOL_SIZE = "60GiB"

_INTERFACE = re.compile(r"[a-zA-Z][A-Za-z0-9_.-]{0,14}")
_PCI = re.compile(r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?")
_VENDOR = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """This machine."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A machine over SSH. A user other than root needs sudo without a password."""

    address: str
    user: str = "root"
    port: int | None = None
    key: Path | None = None
    known_hosts: Path | None = None  # None: the user's own
    accept_new: bool = False  # trust an unknown host key


@dataclass(frozen=True, slots=True)
class InstanceTarget:
    """An instance of the Incus server of this machine."""

    name: str


Reach = LocalTarget | SshTarget | InstanceTarget


def login(reach: Reach) -> str | None:
    """The login in the form of hosts.yaml: "root@10.0.0.7:2222"."""
    if not isinstance(reach, SshTarget):
        return None
    return f"{reach.user}@{reach.address}" + (f":{reach.port}" if reach.port else "")


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """A storage pool. Without `driver` and `source`: btrfs, or a folder if btrfs fails.

    `source` is a device, or a folder on a file system of the driver; without it, btrfs uses a
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
    """The user, role and storages of plexctl on a Proxmox host."""

    user: str = "plexctl@pve"
    role: str = "Plexctl"
    storage: str = "local"  # for snippets, images to import and ISO images
    disks: str = ""  # for the nodes' disks; empty: the same


@dataclass(frozen=True, slots=True)
class HostRequest:
    """The setup of a machine. `name` is the host's in `clusters/hosts.yaml`."""

    name: str
    reach: Reach = field(default_factory=LocalTarget)
    kind: HostKind = HostKind.INCUS
    https: str = ""  # core.https_address: ":8443", "10.0.0.7:8443"; empty: unchanged, or :8443
    repository: Repository = Repository.AUTO
    pool: PoolRequest | None = field(default_factory=PoolRequest)  # None: no pool is created
    bridge: BridgeRequest | None = None
    pci: Mapping[str, str] = field(default_factory=dict)  # name -> "0000:01:00.0"
    iommu: bool = False
    vfio: tuple[str, ...] = ()  # "10de:1b80": devices kept for virtual machines
    wireguard: bool = False  # fail without its kernel module
    virtual_machines: bool = False
    client: str | None = None  # name of the client that gets a token; None: no token
    new_token: bool = False  # also if that client had one
    proxmox: ProxmoxRequest = field(default_factory=ProxmoxRequest)


@dataclass(frozen=True, slots=True)
class PreparedHost:
    """The changes that Ansible made on a machine, and the address of its API."""

    host: str
    items: tuple[PreparedRow, ...]
    notes: tuple[str, ...]  # what a user should know: "a reboot is needed: …"
    url: str | None  # "https://10.0.0.7:8443"
    certificate: str | None  # SHA-256 of the server's certificate, hex
    token: Secret | None  # None also where the client is trusted already
    token_id: str | None  # of a Proxmox token: "plexctl@pve!lab"

    @property
    def changed(self) -> bool:
        return any(item.changed for item in self.items)

    def api(self) -> tuple[str, str]:
        """(URL, SHA-256 of the certificate). PlexError if the machine did not report them."""
        if self.url is None or self.certificate is None:
            raise PlexError(
                f"{self.host} does not report where its API answers", details=self.notes
            )
        return self.url, self.certificate


def check(request: HostRequest) -> None:
    """UsageError for values that no kind of host can use."""
    asked = request.bridge
    interfaces = (asked.name, asked.uplink) if asked else ()
    for interface in filter(None, interfaces):
        if not _INTERFACE.fullmatch(interface):
            raise UsageError(
                f"{interface!r} is not a name of a network interface (at most 15 characters)"
            )
    for name, device in request.pci.items():
        if not _PCI.fullmatch(device.lower()):
            raise UsageError(
                f"{name}: {device!r} is not an address of a PCI device",
                hint="`lspci -D` prints them: 0000:01:00.0",
            )
    for device in request.vfio:
        if not _VENDOR.fullmatch(device.lower()):
            raise UsageError(
                f"{device!r} is not a model of PCI device",
                hint="give vendor:device, as `lspci -n` prints them: 10de:1b80",
            )
