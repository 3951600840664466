"""What verbs about the lab's own files answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InitResult:
    root: Path
    plex: str
    written: tuple[Path, ...]
    key: Path | None  # what opens the lab's seed; None: a passphrase


@dataclass(frozen=True, slots=True)
class UseResult:
    plex: str


@dataclass(frozen=True, slots=True)
class KubeconfigResult:
    plex: str
    file: Path
    context: str
    changed: bool


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A file of secrets: whether the verb has changed it."""

    file: Path
    changed: bool


@dataclass(frozen=True, slots=True)
class SecretsResult:
    done: str  # what has been done with those that changed: "encrypted"
    files: tuple[SecretRow, ...]
    recipient: str  # the public age key that they are encrypted for
