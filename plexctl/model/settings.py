"""Configuration of objects of Incus, in a fixed order, so that equal values have equal digests."""

from __future__ import annotations

from collections.abc import Mapping

TAG = "user.plex."
"""Prefix of the config keys that say which lab, plex and run own an object."""

SEED = "seed"
"""The device with the files of a VM: a volume with the same lifetime."""

Settings = tuple[tuple[str, str], ...]
Devices = tuple[tuple[str, Settings], ...]


def settings(values: Mapping[str, str]) -> Settings:
    return tuple(sorted(values.items()))


def devices(values: Mapping[str, Mapping[str, str]]) -> Devices:
    return tuple(sorted((name, settings(device)) for name, device in values.items()))


def plain_devices(values: Devices) -> dict[str, dict[str, str]]:
    """The devices in the format of Incus' API."""
    return {name: dict(device) for name, device in values}
