"""The lab's depot.lock: digests that no pin has, written by the first download."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.clients.mismatch import mismatch
from plexctl.config.bounded import MOST_BYTES, json_object
from plexctl.depot.components import SourceName
from plexctl.depot.index import Stored
from plexctl.model.folder import lab_file


@dataclass(frozen=True, slots=True)
class Lock:
    """`path` is a JSON file in the lab: name -> SHA-256 in hex, sorted. None without a lab."""

    path: Path | None

    def read(self) -> dict[str, str]:
        """Name -> digest. ConfigError with file, line and field if the file is damaged."""
        if self.path is None:
            return {}
        folder, name = lab_file(self.path.parent, self.path)
        content = folder.read(name, MOST_BYTES)
        return {} if content is None else json_object(content, self.path)

    def check_all(self, found: Mapping[str, str]) -> bool:
        """Whether all of `found` are locked. PlexError if one is locked to another digest."""
        known = self.read()
        for what, digest in found.items():
            expected = known.get(what, digest)
            if expected != digest:
                raise mismatch(what, expected, digest, f"locked in {self.path}")
        return found.keys() <= known.keys()

    def check(self, what: str, found: str) -> None:
        """PlexError if `what` was locked to another digest."""
        self.check_all({what: found})

    def accepts(self, stored: Stored) -> bool:
        """Whether this lab may use the depot's artifacts of a component.

        What came from a folder of artifacts counts only for labs that have locked it: nothing else
        says where its bytes are from. PlexError if something is locked to another digest.
        """
        known = self.check_all(stored.locked)
        return known or stored.source is not SourceName.DIR or self.path is None

    def keep(self, locked: Mapping[str, str]) -> None:
        """Add digests. PlexError, and nothing is added, if one is locked to another digest."""
        known = self.read()
        self.check_all(locked)
        if self.path is not None and not locked.items() <= known.items():
            text = json.dumps(known | dict(locked), indent=2, sort_keys=True)
            folder, name = lab_file(self.path.parent, self.path)
            folder.rewrite(name, f"{text}\n".encode())
