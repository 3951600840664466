"""Hosts as `clusters/hosts.yaml` declares them, and the facts of their kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from plexctl.model.kinds import HostKind


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host's kernel allows containers. Detected, never assumed."""

    cgroup: int  # 1 or 2: version of the control group hierarchy
    sys_resource: bool  # CAP_SYS_RESOURCE: containers may lower an oom score
    cpus: int
    memory: int  # bytes


VM_FACTS = HostFacts(cgroup=2, sys_resource=True, cpus=0, memory=0)
"""Of a node that is a VM: its own kernel restricts nothing."""


@dataclass(frozen=True, slots=True)
class Proxmox:
    """Fields of a Proxmox host only. Such a host is one node of a Proxmox cluster."""

    node: str  # its name in the cluster
    token: str  # identifier of an API token, "user@realm!name"; its secret is stored apart
    iso: str = "local"  # storage for the ISO images that configure nodes
    linked: bool = True  # whether nodes are linked clones of their template; else full clones
    first_id: int = 9000  # the first VM identifier that plexctl may use


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A machine that runs nodes, as `clusters/hosts.yaml` declares it."""

    name: str
    kind: HostKind
    socket: str  # path of the Incus unix socket; unused if there is a URL
    pool: str  # storage pool for images and instances
    parallel: int  # how many instances are created and booted at the same time
    url: str | None = None  # its API over HTTPS: "https://10.0.0.7:8443"
    certificate: str | None = None  # SHA-256 of the server's certificate, hex; goes with `url`
    address: IPv4Address | None = None  # its address for the other hosts
    bridge: str | None = None  # an existing bridge that nodes may be attached to
    facts: HostFacts | None = None  # None: of this machine
    ssh: str | None = None  # "root@10.0.0.7", for what its API cannot do
    pci: Mapping[str, str] = field(default_factory=dict)  # name used in types -> device
    proxmox: Proxmox | None = None
    project: str | None = None  # the Incus project that the lab is confined to; None: default
    this_machine: bool = False  # whether a server with a URL runs on this machine

    @property
    def local(self) -> bool:
        """Whether its server runs on this machine's kernel."""
        return self.url is None or self.this_machine

    @property
    def confined(self) -> bool:
        """Whether the lab may only change its own project: networks are the administrator's."""
        return self.project is not None
