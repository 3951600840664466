"""The fields of clusters/hosts.yaml: shape, description and default of each.

shape.py describes how to add a field.
"""
# ruff: noqa: RUF009 - `entry` is a dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import MapOf, Record, Scalar, choice, entry, flag, needed, whole
from plexctl.config.values.names import DOMAIN, INTERFACE, NAME, NETWORKED, PCI, PROJECT, STORAGE
from plexctl.config.values.networks import ADDRESS, network
from plexctl.config.values.paths import SOCKET
from plexctl.config.values.sizes import MEMORY, SIZE
from plexctl.config.values.urls import FINGERPRINT, HTTPS, PROXMOX_TOKEN, SSH, UPSTREAM
from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import HostKind
from plexctl.model.registry import UPSTREAMS


def _clone(value: object) -> str:
    if value not in ("linked", "full"):
        raise Fault(f"must be linked or full, not {describe(value)}")
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsFields:
    """The mapping `facts` of a host."""

    cgroup: int = needed(whole(1, 2), "Version of the control groups.", 2)
    sys_resource: bool = entry(flag(), "Whether containers may lower OOM scores.", True)
    cpus: int = needed(whole(1, 4096), "Number of processors.", 1)
    memory: int = needed(MEMORY, "Memory, for example 16GiB.", 1)

    def facts(self) -> HostFacts:
        return HostFacts(self.cgroup, self.sys_resource, self.cpus, self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxmoxFields:
    """The mapping `proxmox` of a host."""

    node: str | None = entry(
        NAME, "Name of the node in the Proxmox cluster. Default: the name of the host.", None
    )
    token: str = needed(
        PROXMOX_TOKEN,
        "Name of the API token, for example plexctl@pve!lab. `plexctl host add` stores its secret.",
        "a@b!c",
    )
    iso: str = entry(
        STORAGE,
        "Storage for the configuration disks of nodes, and for templates of containers.",
        "local",
    )
    clone: str = entry(
        Scalar(_clone, {"enum": ["linked", "full"]}),
        "Whether the disk of a node shares the blocks of its template, or is a full copy.",
        "linked",
    )
    first_id: int = entry(
        whole(100, 999_000_000), "plexctl uses VM identifiers from this number on.", 9000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFields:
    """An entry of `hosts` in hosts.yaml."""

    kind: HostKind = entry(choice(HostKind), "The software that runs the nodes.", HostKind.INCUS)
    socket: str = entry(
        SOCKET,
        "Unix socket of the Incus server, for a host that is this machine.",
        "/var/lib/incus/unix.socket",
    )
    url: str | None = entry(
        HTTPS,
        "URL of the API, for example https://10.0.0.7:8443, for a host that is another machine. "
        "`plexctl host add` writes it.",
        None,
    )
    certificate: str | None = entry(
        FINGERPRINT, "SHA-256 fingerprint of that server's certificate, in hex.", None
    )
    address: IPv4Address | None = entry(
        ADDRESS,
        "Address at which other hosts reach this one, for plexes on several hosts. Default: that "
        "of `url`.",
        None,
    )
    bridge: str | None = entry(
        INTERFACE, "Existing bridge on the host, for plexes with `link: bridge`.", None
    )
    facts: FactsFields | None = entry(
        Record(FactsFields),
        "Properties of a host that is another machine. `plexctl host add` writes them.",
        None,
    )
    ssh: str | None = entry(
        SSH,
        "SSH login, for example root@10.0.0.7, for `plexctl host prepare`, and for `plexctl ssh` "
        "to plexes on other machines only.",
        None,
    )
    pci: Mapping[str, str] = entry(
        MapOf(NAME, PCI),
        "PCI devices, by the names that types use: an address, for example 0000:01:00.0, or on "
        "Proxmox the name of a resource mapping.",
        {},
    )
    proxmox: ProxmoxFields | None = entry(
        Record(ProxmoxFields), "Further settings of a host with `kind: proxmox`.", None
    )
    project: str | None = entry(
        PROJECT,
        "Incus project that the lab is confined to, with a restricted certificate. An "
        "administrator of the host creates the bridges of its plexes. `plexctl host trust` writes "
        "this field. Default: the project default, without a restriction.",
        None,
    )
    this_machine: bool = entry(
        flag(),
        "Whether a host with a `url` is this machine, so that images are baked on it. `plexctl "
        "host trust` writes it.",
        False,
    )
    pool: str = entry(STORAGE, "Storage pool for images and instances.", "default")
    parallel: int = entry(
        whole(1, 64), "Number of instances that are created and booted at the same time.", 4
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryFields:
    """The mapping `registry` of hosts.yaml."""

    name: str = entry(
        NETWORKED,
        "Name of its node and network. Labs on the same host need different names.",
        "registry",
    )
    network: IPv4Network = entry(
        network(16, 29),
        "Network of its node, /16 to /29, the same on all hosts. It must not overlap with another "
        "network of the lab.",
        IPv4Network("10.64.63.0/24"),
    )
    upstreams: Mapping[str, str] = entry(
        MapOf(DOMAIN, UPSTREAM),
        "Registries to cache: the registry's name in image references, and its URL. Default: "
        f"{', '.join(f'`{name}`' for name, _ in UPSTREAMS)}.",
        dict(UPSTREAMS),
    )
    size: int | None = entry(
        SIZE,
        "Limit of its volume on each host, for example 50GiB: cached images are never deleted. "
        "Pools on a plain folder (`dir`) may ignore it. Default: no limit.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsFields:
    """The mapping `secrets` of hosts.yaml."""

    epoch: int = entry(
        whole(1, 1000),
        "Increase this number to generate a new key; then encrypt Secrets for it with `plexctl "
        "secret rotate`. Secrets for earlier keys can still be decrypted.",
        1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsFields:
    """The file hosts.yaml."""

    hosts: Mapping[str, HostFields] = needed(
        MapOf(NAME, Record(HostFields), least=1),
        "Machines that run nodes, by name. The first one is the default of plexes.",
        {},
    )
    registry: RegistryFields | None = entry(
        Record(RegistryFields),
        "Registry of the lab: a node on each Incus host. All nodes there pull images through it, "
        "and `plexctl flux push` pushes to it. Write `{}` for the defaults. Default: no registry.",
        None,
    )
    secrets: SecretsFields = entry(
        Record(SecretsFields), "Encryption of the Secrets of apps.", SecretsFields()
    )


HOSTS = Record(HostsFields)
