"""Convert answers of an Incus server to values of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

from plexctl.model.observed import (
    ObservedAcl,
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.settings import TAG

SHARED = "plexctl.shared"
"""A property of an image whose nodes share a volume."""

BASE_IMAGE = "volatile.base_image"
"""The config key with the fingerprint of an instance's image."""

NEVER = "1970-01-01"
"""`last_used_at` of an instance that was never started begins with the Unix epoch."""

Answer = Mapping[str, Any]


def instance(found: Answer) -> ObservedInstance:
    config = found["config"]
    return ObservedInstance(
        name=found["name"],
        status=found["status"],
        tags=tags_of(config),
        started=not str(found["last_used_at"]).startswith(NEVER),
        image=config.get(BASE_IMAGE, ""),
        uuid=config.get("volatile.uuid", ""),
    )


def network(found: Answer) -> ObservedNetwork:
    """A client that is confined to a project sees no config: it finds the tags in the description.

    `plexctl host trust` writes them there.
    """
    config = found["config"]
    tags = tags_of(config or _described(found))
    return ObservedNetwork(str(found["name"]), tags, tuple(subnets(config)))


def subnets(config: Mapping[str, str]) -> Iterator[IPv4Network]:
    """The IPv4 networks of a bridge. Values such as "none" and "auto" are left out."""
    for key in ("ipv4.address", "ipv4.routes"):
        for word in config.get(key, "").split(","):
            with suppress(ValueError):
                yield IPv4Network(word.strip(), strict=False)


def acls_of(networks: Mapping[str, ObservedNetwork]) -> dict[str, ObservedAcl]:
    """The ACLs of networks, for a client that is confined to a project and sees none.

    `plexctl host trust` writes the hash of its ACL into the description of a network.
    """
    return {
        name: ObservedAcl(name, {**network.tags, "hash": network.tags["acl"]})
        for name, network in networks.items()
        if "acl" in network.tags
    }


def acl(found: Answer) -> ObservedAcl:
    return ObservedAcl(str(found["name"]), tags_of(found["config"] or {}))


def profile(found: Answer) -> ObservedProfile:
    return ObservedProfile(str(found["name"]), tags_of(found["config"]))


def volume(found: Answer) -> ObservedVolume:
    disc = found.get("content_type") == "iso"
    config = _described(found) if disc else found["config"]
    return ObservedVolume(str(found["name"]), tags_of(config), disc)


def _described(found: Answer) -> dict[str, str]:
    """The tags in the description of an object that has no config, such as a disc."""
    words = (word.partition("=") for word in str(found.get("description", "")).split())
    return {key: value for key, _, value in words}


def image(found: Answer) -> ObservedImage:
    return ObservedImage(
        fingerprint=found["fingerprint"],
        names=tuple(alias["name"] for alias in found.get("aliases") or ()),
        properties=dict(found["properties"] or {}),
        size=int(found["size"]),
        shared=SHARED in (found["properties"] or {}),
    )


def tags_of(config: Mapping[str, str]) -> dict[str, str]:
    """The tags in the config of an object, without their prefix."""
    return {key[len(TAG) :]: value for key, value in config.items() if key.startswith(TAG)}
