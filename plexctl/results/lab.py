"""Results of commands about the lab's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InitResult:
    root: Path  # folder of the lab
    plex: str
    written: tuple[Path, ...]  # files that are new or changed
    key_file: Path | None  # decrypts the lab's seed; None: a passphrase does


@dataclass(frozen=True, slots=True)
class ImportResult:
    written: tuple[Path, ...]  # files that are new
    unchanged: tuple[str, ...]  # plexes that the lab already has


@dataclass(frozen=True, slots=True)
class UseResult:
    plex: str


@dataclass(frozen=True, slots=True)
class KubeconfigResult:
    plex: str
    file: Path  # the kubeconfig
    context: str  # its name there
    changed: bool
    backup: Path | None = None  # a copy of the old file; None: nothing of it is lost


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A file of Secrets."""

    file: Path  # path of the encrypted file
    changed: bool
    others: tuple[str, ...] = ()  # public age keys of others that also decrypt it


@dataclass(frozen=True, slots=True)
class SecretsResult:
    action: str  # what was done with the changed files: "encrypted" or "rotated"
    files: tuple[SecretRow, ...]
    recipient: str  # the public age key that the files are encrypted for


@dataclass(frozen=True, slots=True)
class TrustRow:
    """A file of a part of the lab that runs programs on this machine."""

    part: str  # "roles/box"
    runs: str  # what plexctl does with the part
    file: str  # path below the lab
    state: str  # "trusted", "new", "changed" or "deleted", since you trusted the part


@dataclass(frozen=True, slots=True)
class TrustResult:
    root: Path  # folder of the lab
    always: bool  # whether later changes are trusted too
    changed: bool  # whether the verb has changed what you trust
    files: tuple[TrustRow, ...]
