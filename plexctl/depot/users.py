"""The labs that use a depot: each has a file with the keys that its pins name.

All labs of a user share one depot. `prune` keeps what the pins of any of them name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.files import write_atomic

FOLDER = "labs"
"""In the depot."""

BEGAN = "began"
"""In FOLDER: a file that is as old as the records."""

DAY = 86_400
GRACE = 30 * DAY
"""Seconds for which entries of a lab stay that has left no record yet, or whose folder is gone."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What one lab uses."""

    root: str  # its folder
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class DepotUsers:
    """Records in `folder`, by the identifier of the lab."""

    folder: Path

    @classmethod
    def of(cls, depot: Path) -> DepotUsers:
        """The records of the depot in that folder."""
        return cls(depot / FOLDER)

    def record(self, lab: str, root: Path, keys: frozenset[str]) -> None:
        """Write down that the lab at `root` uses `keys`; at most once a day if they are the same.

        A depot that cannot be written is not pruned by this user either.
        """
        file = self.folder / f"{lab}.json"
        with suppress(OSError, PlexError):
            if time.time() - _written(file) < DAY and _read(file) == _Record(str(root), keys):
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / BEGAN).exists():
                write_atomic(self.folder / BEGAN, b"")
            content = json.dumps({"root": str(root), "keys": sorted(keys)}, indent=1)
            write_atomic(file, f"{content}\n".encode())

    def keys(self, *, without: str) -> frozenset[str]:
        """The keys that labs use, all but the lab `without` and those gone for GRACE seconds."""
        return frozenset(key for record in self._others(without) for key in record.keys)

    def gone(self) -> frozenset[str]:
        """The labs whose folder does not exist any more, and that have not been used for a day."""
        records = ((file, _read(file)) for file in self.folder.glob("*.json"))
        return frozenset(
            file.stem
            for file, record in records
            if record and not _exists(record) and time.time() - _written(file) > DAY
        )

    def may_be_older(self, entry: Path) -> bool:
        """Whether the file `entry` of the index may be of a lab that has left no record yet."""
        began = _written(self.folder / BEGAN)
        return time.time() - began < GRACE and _written(entry) < began

    def _others(self, without: str) -> Iterator[_Record]:
        for file in sorted(self.folder.glob("*.json")):
            found = _read(file)
            if file.stem == without or found is None:
                continue
            if _exists(found) or time.time() - _written(file) < GRACE:
                yield found


def _exists(record: _Record) -> bool:
    """Whether the lab is still in its folder."""
    return Path(record.root, "clusters", "seed.age").exists()


def _written(file: Path) -> float:
    """When a file was written, in seconds since 1970; 0 if it does not exist."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _read(file: Path) -> _Record | None:
    """None if the record is missing or damaged."""
    try:
        found = json.loads(file.read_bytes())
        return _Record(str(found["root"]), frozenset(map(str, found["keys"])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
