"""Parse answers of Proxmox VE. plexctl's tags are a line of JSON in a guest's notes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plexctl.model.observed import (
    IMAGE_LAB,
    IMAGE_USER,
    RUNNING,
    ObservedImage,
    ObservedInstance,
)

MARK = "plexctl: "
TAG = "plexctl"
WHOLE = "whole"
"""The tag that is written last, before the first start: the guest is complete."""

IMAGE = "image"
"""The tag with the name of the template that a node was cloned from."""

STATES = {"running": RUNNING, "stopped": "Stopped"}

ARCHIVE = re.compile(r"plexctl-(?P<lab>[0-9a-z]+)-(?P<name>.+)\.tar\.gz")
USE = re.compile(r"plexctl-(?P<lab>[0-9a-z]+)-(?P<name>.+)\.used\.tar\.gz")

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM ("qemu") or a container ("lxc"). Names need not be unique: `vmid` is."""

    vmid: int
    kind: str
    name: str
    status: str  # "running", "stopped"
    template: bool
    tags: Mapping[str, str]  # empty: not created by plexctl
    uuid: str = ""
    iso: str | None = None  # volume in its second CD drive
    size: int = 0  # bytes of its disk

    @property
    def ours(self) -> bool:
        return bool(self.tags)

    @property
    def whole(self) -> bool:
        return not self.ours or WHOLE in self.tags


def guest(kind: str, found: Answer, config: Answer | None) -> Guest:
    """A guest from its entry in a list, and from its configuration if plexctl created it."""
    config = config or {}
    ide = str(config.get("ide2", "none")).partition(",")[0]
    return Guest(
        vmid=int(found["vmid"]),
        kind=kind,
        name=str(found.get("name", "")),
        status=str(found["status"]),
        template=bool(int(found.get("template") or 0)),
        tags=tags(str(config.get("description", ""))),
        uuid=str(config.get("vmgenid", "")),
        iso=ide if ":" in ide else None,
        size=int(found.get("maxdisk") or 0),
    )


def marked(found: Answer) -> bool:
    """Whether an entry of a list has plexctl's label: then its notes are read."""
    return TAG in re.split(r"[;, ]", str(found.get("tags", "")))


def notes(values: Mapping[str, str]) -> str:
    """A guest's notes with these tags. Every user who sees the guest can read them."""
    return f"{MARK}{json.dumps(dict(values), sort_keys=True)}"


def tags(text: str) -> dict[str, str]:
    for line in text.splitlines():
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except json.JSONDecodeError:
                return {}
            return {str(key): str(value) for key, value in dict(found).items()}
    return {}


def labels(values: Mapping[str, str]) -> str:
    """The short tags that Proxmox VE shows in lists and filters by."""
    plex = values.get("plex")
    return ";".join((TAG, f"plex-{plex}")) if plex else TAG


def instance(seen: Guest, images: Mapping[str, str]) -> ObservedInstance:
    """`images` are the identifiers of templates by their names."""
    return ObservedInstance(
        name=seen.name,
        status=STATES.get(seen.status, seen.status.capitalize()),
        tags=dict(seen.tags),
        started=seen.whole,
        image=images.get(seen.tags.get(IMAGE, ""), ""),
        uuid=seen.uuid,
    )


def image(seen: Guest) -> ObservedImage:
    return ObservedImage(str(seen.vmid), (seen.name,), dict(seen.tags), seen.size)


def archives(volumes: Mapping[str, int]) -> tuple[ObservedImage, ...]:
    """plexctl's templates of containers, among volumes and their sizes in bytes.

    A template of containers can have no properties: what it is, and the lab that baked it, are in
    its name. Each lab that uses it has a small file beside it. Without such files only the lab in
    its name uses it.
    """
    users: dict[str, list[str]] = {}
    for volume in volumes:
        if use := USE.fullmatch(_file(volume)):
            users.setdefault(use["name"], []).append(use["lab"])
    return tuple(
        _archive(volume, found, users.get(found["name"], []), size)
        for volume, size in volumes.items()
        if (found := ARCHIVE.fullmatch(_file(volume))) and not USE.fullmatch(_file(volume))
    )


def _archive(volume: str, found: re.Match[str], users: Sequence[str], size: int) -> ObservedImage:
    labs = {f"{IMAGE_USER}{lab}": "yes" for lab in users} or {IMAGE_LAB: found["lab"]}
    return ObservedImage(volume, (found["name"],), {"plexctl.recipe": found["name"], **labs}, size)


def _file(volume: str) -> str:
    return volume.partition("/")[2]


def archive_parts(volume: str) -> tuple[str, str]:
    """(lab that baked it, name of the image) of a template of containers."""
    found = ARCHIVE.fullmatch(_file(volume))
    assert found is not None, volume
    return found["lab"], found["name"]


def archive_name(lab: str, image: str) -> str:
    """File name of a template of containers. Labs may share a storage."""
    return f"plexctl-{lab}-{image}.tar.gz"


def use_name(lab: str, image: str) -> str:
    """Name of the file that says that a lab uses a template of containers."""
    return f"plexctl-{lab}-{image}.used.tar.gz"
