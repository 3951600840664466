"""What `clusters/hosts.yaml` may hold: every field with its kind, its description, its default."""
# ruff: noqa: RUF009 - `entry` is a dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plexctl.config import values
from plexctl.config.faults import Fault
from plexctl.config.shape import MapOf, Record, Scalar, choice, entry, flag, needed, whole
from plexctl.model.hosts import HostFacts
from plexctl.model.kinds import HostKind
from plexctl.model.registry import UPSTREAMS


def _clone(value: object) -> str:
    if value not in ("linked", "full"):
        raise Fault("must be linked or full")
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsFields:
    cgroup: int = needed(whole(1, 2), "Version of its control groups (1 or 2).", 2)
    sys_resource: bool = entry(flag(), "Whether containers may lower an OOM score.", True)
    cpus: int = needed(whole(1, 4096), "Number of processors.", 1)
    memory: int = needed(values.SIZE, "Memory, as in 16GiB.", 1)

    def facts(self) -> HostFacts:
        return HostFacts(self.cgroup, self.sys_resource, self.cpus, self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxmoxFields:
    node: str | None = entry(
        values.NAME, "Its name in the Proxmox cluster. Default: the name of the host.", None
    )
    token: str = needed(
        values.PROXMOX_TOKEN,
        "Name of the API token, as in plexctl@pve!lab. Its secret is stored elsewhere.",
        "a@b!c",
    )
    iso: str = entry(
        values.TEXT,
        "Storage for the seed disks of nodes, and for templates of containers.",
        "local",
    )
    clone: str = entry(
        Scalar(_clone, {"enum": ["linked", "full"]}),
        "Whether a node shares the blocks of its template (`linked`), or has a copy (`full`).",
        "linked",
    )
    first_id: int = entry(
        whole(100, 999_000_000), "The lowest VM identifier that plexctl uses.", 9000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFields:
    kind: HostKind = entry(choice(HostKind), "Kind of the server.", HostKind.INCUS)
    socket: str = entry(
        values.PATH, "Unix socket of the Incus server.", "/var/lib/incus/unix.socket"
    )
    url: str | None = entry(
        values.HTTPS,
        "API over HTTPS, as in https://10.0.0.7:8443, for a host on another machine. "
        "`plexctl host add` writes it.",
        None,
    )
    certificate: str | None = entry(
        values.FINGERPRINT, "SHA-256 of that server's certificate, in hex.", None
    )
    address: IPv4Address | None = entry(
        values.ADDRESS,
        "Address at which the other hosts reach it, for plexes on several hosts. Default: that of "
        "`url`.",
        None,
    )
    bridge: str | None = entry(
        values.INTERFACE, "An existing bridge, for plexes with `link: bridge`.", None
    )
    facts: FactsFields | None = entry(
        Record(FactsFields),
        "What its kernel allows containers, for a host on another machine. `plexctl host add` "
        "writes it.",
        None,
    )
    ssh: str | None = entry(
        values.SSH,
        "SSH login, as in root@10.0.0.7: for `plexctl host prepare`, and for `plexctl ssh` to "
        "plexes with no node on this machine.",
        None,
    )
    pci: Mapping[str, str] = entry(
        MapOf(values.NAME, values.TEXT),
        "PCI devices by the names that types use: an address, as in 0000:01:00.0, or on Proxmox "
        "the name of a resource mapping.",
        {},
    )
    proxmox: ProxmoxFields | None = entry(
        Record(ProxmoxFields), "Further fields of a host of `kind: proxmox`.", None
    )
    pool: str = entry(values.TEXT, "Storage pool for images and instances.", "default")
    parallel: int = entry(
        whole(1, 64), "How many instances are created and booted at the same time.", 4
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryFields:
    name: str = entry(
        values.NETWORKED,
        "Name of its node and network; it must differ between the labs of a host.",
        "registry",
    )
    network: IPv4Network = entry(
        values.network(16, 29),
        "Network of its node, /16 to /29, the same on each host. It must not overlap with another "
        "network of the lab.",
        IPv4Network("10.64.63.0/24"),
    )
    upstreams: Mapping[str, str] = entry(
        MapOf(values.DOMAIN, values.URL),
        "Registries that it caches: the name in references of images, and the URL. Default: "
        f"{', '.join(f'`{name}`' for name, _ in UPSTREAMS)}.",
        dict(UPSTREAMS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsFields:
    epoch: int = entry(
        whole(1, 1000),
        "Generation of the key: another number creates a new key, which `plexctl secret rotate` "
        "then encrypts for. Secrets of lower numbers can still be decrypted.",
        1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsFields:
    hosts: Mapping[str, HostFields] = needed(
        MapOf(values.NAME, Record(HostFields), least=1),
        "The machines that run nodes, by name. A plex that names no host runs on the first.",
        {},
    )
    registry: RegistryFields | None = entry(
        Record(RegistryFields),
        "The lab's registry: a node on each Incus host that caches images for all nodes there, and "
        "stores what `plexctl flux push` pushes. `{}` is enough. Default: no registry.",
        None,
    )
    secrets: SecretsFields = entry(
        Record(SecretsFields), "How secrets of apps are encrypted.", SecretsFields()
    )


HOSTS = Record(HostsFields)
