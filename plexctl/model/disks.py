"""Disks of saved nodes: copied out of a host, and into another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from plexctl.model.settings import Devices, Settings


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """The files of a node as one tar, while it is copied."""

    size: int  # bytes
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance that is created with the disk of another one. Everything else is the plan's."""

    name: str
    image: str  # fingerprint of the image that it counts as created from
    profile: str
    config: Settings
    devices: Devices


class Disks(Protocol):
    """Disks of containers of one host.

    A copy needs a temporary object on the host, with the size of one node. `marks` are written on
    it, so that a later run finds what a killed one has left.
    """

    def architecture(self) -> str:
        """The architecture of the host's processors: "x86_64"."""

    def exported(
        self, instance: str, snapshot: str, marks: Mapping[str, str]
    ) -> AbstractContextManager[DiskCopy]:
        """The disk of a snapshot. The temporary object is deleted at the end."""

    def check(self, content: BinaryIO) -> None:
        """Read a disk that `exported` wrote. ValueError if its files could do harm on a host.

        No call is made.
        """

    def create(
        self, new: NewInstance, content: BinaryIO, architecture: str, marks: Mapping[str, str]
    ) -> None:
        """Create a stopped instance with the disk `content`.

        Only files and folders come from `content`, and each is checked again: see `check`.
        """

    def delete_temporary(self, marks: Mapping[str, str]) -> None:
        """Delete the temporary objects that have all of `marks`."""
