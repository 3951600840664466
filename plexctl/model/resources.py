"""Names of the objects that plexctl creates on hosts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of an object."""

    INSTANCE = "instance"
    NETWORK = "network"
    ACL = "acl"  # of a network: who may connect to its nodes
    PROFILE = "profile"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object of one host. `str(key)` is what journals and JSON show: "instance/local/demo1"."""

    kind: Kind
    host: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that `str` wrote. ValueError if `text` is none."""
        kind, host, name = text.split("/")
        return cls(Kind(kind), host, name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.host}/{self.name}"
