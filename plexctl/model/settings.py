"""Keys and values that an Incus server keeps, always in the same order."""

from __future__ import annotations

from collections.abc import Mapping

TAG = "user.plex."
"""Prefix of the config keys that say whose an object is."""

Settings = tuple[tuple[str, str], ...]
Devices = tuple[tuple[str, Settings], ...]


def settings(values: Mapping[str, str]) -> Settings:
    return tuple(sorted(values.items()))


def devices(values: Mapping[str, Mapping[str, str]]) -> Devices:
    return tuple(sorted((name, settings(device)) for name, device in values.items()))


def plain_devices(values: Devices) -> dict[str, dict[str, str]]:
    """As Incus takes them."""
    return {name: dict(device) for name, device in values}
