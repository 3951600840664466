"""Machines that run nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from plexctl.model.kinds import HostKind


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host's kernel lets its containers do. Detected, never assumed."""

    cgroup: int  # 1 or 2: version of the control group hierarchy
    sys_resource: bool  # CAP_SYS_RESOURCE: containers may lower an oom score
    cpus: int
    memory: int  # bytes


VM_FACTS = HostFacts(cgroup=2, sys_resource=True, cpus=0, memory=0)
"""Of a node that is a VM: it has a kernel of its own, which holds nothing back."""


@dataclass(frozen=True, slots=True)
class Proxmox:
    """What is different on a Proxmox host: one node of a Proxmox cluster."""

    node: str  # its name in the cluster
    token: str  # identifier of an API token, "user@realm!name"; its secret is stored apart
    iso: str = "local"  # storage for the disks that nodes are configured with
    linked: bool = True  # whether nodes are linked clones of their template, or full ones
    first_id: int = 9000  # VM identifiers from here on are plexctl's to give


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A machine that runs nodes, as `clusters/hosts.yaml` declares it."""

    name: str
    kind: HostKind
    socket: str  # path of the Incus unix socket; of no meaning where there is a URL
    pool: str  # storage pool for images and instances
    parallel: int  # how many instances are made and booted at once
    url: str | None = None  # its API over HTTPS: "https://10.0.0.7:8443"
    certificate: str | None = None  # SHA-256 of the server's certificate, hex; goes with `url`
    address: IPv4Address | None = None  # how the other hosts reach it
    bridge: str | None = None  # a bridge of its own that nodes may be put on
    facts: HostFacts | None = None  # as `plexctl host add` found them; None: asked of this machine
    ssh: str | None = None  # "root@10.0.0.7", for what its API cannot do
    pci: Mapping[str, str] = field(default_factory=dict)  # name that types ask for -> device
    proxmox: Proxmox | None = None

    @property
    def local(self) -> bool:
        """Whether its server runs on this machine's kernel."""
        return self.url is None
