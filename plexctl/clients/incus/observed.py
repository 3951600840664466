"""Convert answers of an Incus server to values of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexctl.model.observed import (
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.settings import TAG

SHARED = "plexctl.shared"
"""A property of an image whose nodes share a volume."""

NEVER = "1970-01-01"
"""`last_used_at` of an instance that was never started begins with the Unix epoch."""

Answer = Mapping[str, Any]


def instance(found: Answer) -> ObservedInstance:
    config = found["config"]
    return ObservedInstance(
        name=found["name"],
        status=found["status"],
        tags=_tags(config),
        started=not str(found["last_used_at"]).startswith(NEVER),
        image=config.get("volatile.base_image", ""),
        uuid=config.get("volatile.uuid", ""),
    )


def network(found: Answer) -> ObservedNetwork:
    return ObservedNetwork(str(found["name"]), _tags(found["config"]))


def profile(found: Answer) -> ObservedProfile:
    return ObservedProfile(str(found["name"]), _tags(found["config"]))


def volume(found: Answer) -> ObservedVolume:
    disc = found.get("content_type") == "iso"
    config = _described(found) if disc else found["config"]
    return ObservedVolume(str(found["name"]), _tags(config), disc)


def _described(found: Answer) -> dict[str, str]:
    """The tags that `IncusVolumes.create_disc` wrote on a disc, which has no config."""
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


def _tags(config: Mapping[str, str]) -> dict[str, str]:
    return {key[len(TAG) :]: value for key, value in config.items() if key.startswith(TAG)}
