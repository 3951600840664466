"""The objects of a host, as one call to `Host.read` found them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from plexctl.errors import PlexError
from plexctl.model.resources import Key, Kind

IMAGE_LAB = "plexctl.lab"
"""The property of an image with the lab that baked it."""

IMAGE_USER = f"{IMAGE_LAB}."
"""Prefix of the properties with the labs that use an image: "plexctl.lab.0123456789abcdef…"."""

RUNNING = "Running"

FROZEN = "Frozen"
"""Status of an instance whose processes stand still: `incus pause` does that, and a save."""

UNKNOWN = "unknown"
"""Status of an instance on an unreachable host."""

CORDONED = "cordoned"
"""Note of a node that takes no new pods."""


@dataclass(frozen=True, slots=True)
class ObservedInstance:
    """An instance that exists. `tags` are its `user.plex.*` keys without the prefix."""

    name: str
    status: str  # "Running", "Stopped", "Error", …
    tags: Mapping[str, str]
    started: bool  # whether it has ever been started
    image: str  # fingerprint
    uuid: str  # changes with every recreation


@dataclass(frozen=True, slots=True)
class ObservedNetwork:
    name: str
    tags: Mapping[str, str]
    subnets: tuple[IPv4Network, ...] = ()  # of its bridge, and those that are routed over it


@dataclass(frozen=True, slots=True)
class ObservedAcl:
    """A network ACL, whatever its rules."""

    name: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ObservedProfile:
    name: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ObservedVolume:
    """A custom volume of the pool that the host's instances are in."""

    name: str
    tags: Mapping[str, str]
    disc: bool = False  # an ISO image

    @property
    def whole(self) -> bool:
        """Whether it is the volume that nodes of an image share, and complete."""
        return "image" in self.tags


@dataclass(frozen=True, slots=True)
class ObservedImage:
    """An image. `properties` are those that plexctl has set on it."""

    fingerprint: str
    names: tuple[str, ...]  # aliases
    properties: Mapping[str, str]
    size: int  # bytes
    shared: bool = False  # whether its nodes share a volume


Tagged = ObservedInstance | ObservedNetwork | ObservedAcl | ObservedProfile | ObservedVolume


@dataclass(frozen=True, slots=True)
class HostState:
    """The objects of one host: plexctl's, and others whose names are taken."""

    host: str
    instances: Mapping[str, ObservedInstance]
    networks: Mapping[str, ObservedNetwork]
    profiles: Mapping[str, ObservedProfile]
    images: tuple[ObservedImage, ...]
    volumes: Mapping[str, ObservedVolume] = field(default_factory=dict)
    unreachable: PlexError | None = None  # why it was not read
    confined: bool = False  # to a project: networks are its administrator's
    acls: Mapping[str, ObservedAcl] = field(default_factory=dict)
    clock_offset: float = 0.0  # seconds by which its clock is ahead of this machine's

    @classmethod
    def of_unreachable(cls, host: str, unreachable: PlexError) -> HostState:
        """The state of a host that was not read."""
        return cls(host, {}, {}, {}, (), {}, unreachable)

    @property
    def unreachable_reason(self) -> str | None:
        """Why it was not read, one sentence; None if it was read."""
        unreachable = self.unreachable
        return ": ".join((unreachable.summary, *unreachable.details)) if unreachable else None

    def objects(self, kind: Kind) -> Mapping[str, Tagged]:
        """The objects of one kind, by name."""
        match kind:
            case Kind.INSTANCE:
                return self.instances
            case Kind.NETWORK:
                return self.networks
            case Kind.ACL:
                return self.acls
            case Kind.PROFILE:
                return self.profiles
            case Kind.VOLUME:
                return self.volumes

    def find(self, key: Key) -> Tagged | None:
        """The object with this key, which is one of this host; None if it does not exist."""
        return self.objects(key.kind).get(key.name)

    def image(self, name: str) -> ObservedImage | None:
        """The image with the alias `name`, and the volume of that name where its nodes share one.

        None if anything of that is missing.
        """
        found = next((image for image in self.images if name in image.names), None)
        volume = self.volumes.get(name)
        if found and found.shared and not (volume and volume.whole):
            return None
        return found


def unreachable_reasons(states: Iterable[HostState]) -> tuple[str, ...]:
    """The reason for each host that was not read."""
    return tuple(why for state in states if (why := state.unreachable_reason))
