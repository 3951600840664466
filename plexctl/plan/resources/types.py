"""The flat list that a plan ends in: typed, frozen resources, each with its needs and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from plexctl.model.lab_id import is_lab, short
from plexctl.model.resources import Key, Kind
from plexctl.model.settings import Devices, Settings
from plexctl.model.types import Form
from plexctl.plan.resources.specs import IncusSpec, ProxmoxSpec

ACLS = "security.acls"
"""The config key of a network with the name of its ACL."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a resource: the lab's public identifier and the plex."""

    lab: str
    plex: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark an object on a host as one of this owner."""
        return {"lab": self.lab, "plex": self.plex}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether an object with `tags` belongs to this owner."""
        return tags.get("plex") == self.plex and is_lab(tags.get("lab"), self.lab)


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of a host that leads to an address of a network, whichever node has it."""

    listen: str  # the address of the host
    port: int
    to: str
    to_port: int


@dataclass(frozen=True, slots=True)
class Network:
    """A managed bridge of one plex on one host."""

    kind: ClassVar = Kind.NETWORK

    name: str
    host: str
    owner: Owner
    config: Settings
    forward: Forward | None = None

    @property
    def key(self) -> Key:
        return Key(self.kind, self.host, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        """The ACL that the configuration names. A server refuses the name of one it lacks."""
        acl = dict(self.config).get(ACLS)
        return (Key(Kind.ACL, self.host, acl),) if acl else ()


@dataclass(frozen=True, slots=True)
class Acl:
    """The rules of a network on one host, in the words of Incus' API.

    A packet that no rule allows is rejected.
    """

    kind: ClassVar = Kind.ACL

    name: str
    host: str
    owner: Owner
    ingress: tuple[Settings, ...]  # of packets from the host to the network
    egress: tuple[Settings, ...]  # of packets from the network to the host

    @property
    def key(self) -> Key:
        return Key(self.kind, self.host, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Profile:
    """The settings that all nodes of one type of a plex share."""

    kind: ClassVar = Kind.PROFILE

    name: str
    host: str
    owner: Owner
    config: Settings
    devices: Devices
    needs: tuple[Key, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.kind, self.host, self.name)


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk that outlives its instance. It is deleted only on request."""

    kind: ClassVar = Kind.VOLUME

    name: str
    host: str
    owner: Owner
    pool: str
    config: Settings = ()

    @property
    def key(self) -> Key:
        return Key(self.kind, self.host, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One node. It is cattle: any change of what decides its hash replaces it."""

    kind: ClassVar = Kind.INSTANCE

    name: str
    host: str
    owner: Owner
    form: Form
    image: str  # name of a baked image: "plex-kube-<recipe>"
    spec: IncusSpec | ProxmoxSpec
    boot: bytes = field(repr=False)  # the files that the node boots with; holds keys
    needs: tuple[Key, ...] = ()
    parent: Key | None = None  # the instance whose recreation recreates this one
    known: str = ""  # SHA-256 of what decides `boot`, if that is not `boot` as it is here
    masters: int = 0  # of a master: how many its plex has; decides nothing of the instance itself

    @property
    def key(self) -> Key:
        return Key(self.kind, self.host, self.name)

    @property
    def incus(self) -> IncusSpec:
        """The spec of an instance on an Incus host. TypeError on another kind of host."""
        if not isinstance(self.spec, IncusSpec):
            raise TypeError(f"{self.key} is not on an Incus host")
        return self.spec

    @property
    def proxmox(self) -> ProxmoxSpec:
        """The spec of an instance on a Proxmox host. TypeError on another kind of host."""
        if not isinstance(self.spec, ProxmoxSpec):
            raise TypeError(f"{self.key} is not on a Proxmox host")
        return self.spec


Resource = Network | Acl | Profile | Volume | Instance


def resource_hash(resource: Resource) -> str:
    """16 hex digits over everything that decides `resource`.

    Another hash replaces a running instance.
    """
    content = {f.name: _plain(getattr(resource, f.name)) for f in fields(resource)}
    if isinstance(resource, Network) and resource.forward is None:
        del content["forward"]
    if isinstance(resource, Instance):
        del content["spec"], content["known"], content["masters"]
        content |= {**resource.spec.hashed(), "boot": boot_digest(resource)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def boot_digest(instance: Instance) -> str:
    """SHA-256 of the files that decide whether an instance is replaced."""
    return instance.known or digest(instance.boot)


def digest(content: bytes) -> str:
    """SHA-256 of a boot archive."""
    return hashlib.sha256(content).hexdigest()


def _plain(value: object) -> object:
    """A field as input of the hash: keys as text. `resource_hash` adds boot files and specs."""
    match value:
        case Owner(lab=lab, plex=plex):
            # Short, as when tags were: the hashes of nodes that run stay what they are.
            return [short(lab), plex]
        case Forward():
            return [getattr(value, f.name) for f in fields(value)]
        case Key():
            return str(value)
        case (Key(), *_):
            return [str(key) for key in value]
        case bytes() | IncusSpec() | ProxmoxSpec():
            return None
    return value
