"""The flat list that a plan ends in: typed, frozen resources, each with its needs and its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

from plexctl.model.settings import Devices, Settings
from plexctl.model.types import Form


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a resource is: the lab's public identifier and the plex."""

    lab: str
    plex: str


@dataclass(frozen=True, slots=True)
class Network:
    """A managed bridge of one plex on one host."""

    name: str
    host: str
    owner: Owner
    config: Settings

    @property
    def key(self) -> str:
        return f"network/{self.host}/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What all nodes of one type of a plex share."""

    name: str
    host: str
    owner: Owner
    config: Settings
    devices: Devices
    needs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"profile/{self.host}/{self.name}"


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk that outlives the instance that has it, and is removed only if that is asked for."""

    name: str
    host: str
    owner: Owner
    pool: str
    config: Settings = ()

    @property
    def key(self) -> str:
        return f"volume/{self.host}/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One node. It is cattle: any change of what decides its hash replaces it."""

    name: str
    host: str
    owner: Owner
    form: Form
    image: str  # name of a baked image: "plex-kube-<recipe>"
    profile: str
    config: Settings
    devices: Devices
    boot: bytes = field(repr=False)  # tar of the files it boots with; holds keys
    needs: tuple[str, ...] = ()
    parent: str | None = None  # key of the instance whose recreation recreates this one
    known: str = ""  # SHA-256 of `boot` where that was not made, as only a comparison is wanted

    @property
    def key(self) -> str:
        return f"instance/{self.host}/{self.name}"


Resource = Network | Profile | Volume | Instance


def resource_hash(resource: Resource) -> str:
    """16 hex digits over all that decides `resource`."""
    content = {f.name: _plain(getattr(resource, f.name)) for f in fields(resource)}
    if isinstance(resource, Instance):
        content["boot"] = boot_digest(resource)
        del content["known"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def boot_digest(instance: Instance) -> str:
    """SHA-256 of the files that it boots with."""
    return instance.known or hashlib.sha256(instance.boot).hexdigest()


def _plain(value: Any) -> object:
    if isinstance(value, bytes):
        return None
    if isinstance(value, Owner):
        return [value.lab, value.plex]
    return value
