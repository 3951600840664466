"""The root seed: 32 random bytes from which every key of a lab is derived.

Its file in the lab's folder is encrypted with age, so it may be in version control. An age identity
in the user's config folder opens it, or a passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyrage

from plexctl.errors import PlexError, UsageError
from plexctl.model.files import write_new
from plexctl.model.folder import PRIVATE, lab_file, make_folders, write_missing
from plexctl.model.lab_id import short
from plexctl.model.secret import Secret

SEED_LENGTH = 32  # bytes
MOST_SEALED = 1 << 16
"""Bytes of seed.age, with many recipients."""

ATTEMPTS = 6
EXCESSIVE = "Excessive work"
"""The beginning of age's error for a passphrase that would take too long. age measures the speed of
the machine at each call, and sometimes finds a busy machine far too slow."""


@dataclass(frozen=True, slots=True)
class RootSeed:
    """The secret of a lab: all keys of all its plexes are derived from it."""

    value: Secret

    def __post_init__(self) -> None:
        if len(self.value.reveal()) != SEED_LENGTH:
            raise ValueError(f"a root seed has {SEED_LENGTH} bytes")

    def derive(self, *path: str, length: int = 32) -> bytes:
        """`length` bytes (at most 8160) for `path`: HKDF-SHA256 (RFC 5869).

        The length of each part precedes it, so ("a", "bc") and ("ab", "c") differ.
        """
        # cryptography's HKDF returns the same bytes, but its import takes longer than all of this.
        info = b"".join(len(part).to_bytes(4, "big") + part for part in map(str.encode, path))
        key = hmac.digest(b"plexctl root seed 1", self.value.reveal(), "sha256")
        output = block = b""
        for counter in range(1, -(-length // hashlib.sha256().digest_size) + 1):
            block = hmac.digest(key, block + info + bytes([counter]), "sha256")
            output += block
        return output[:length]

    @property
    def lab_id(self) -> str:
        """32 hex digits (128 bits) that identify this lab; public."""
        return self.derive("lab-id", length=16).hex()

    @property
    def short_id(self) -> str:
        """The first 8 digits of `lab_id`, for names and comments; no proof of who owns anything."""
        return short(self.lab_id)


def seed_file(root: Path) -> Path:
    return root / "clusters" / "seed.age"


def key_file(config_dir: Path) -> Path:
    """The user's age identities in the format of `age-keygen`: one a line, any may open a seed."""
    return config_dir / "age.key"


def user_config_dir() -> Path:
    """The default folder of the user's key: ~/.config/plexctl."""
    from platformdirs import user_config_path

    return user_config_path("plexctl")


def load(root: Path, config_dir: Path, ask: Callable[[], Secret] | None = None) -> RootSeed:
    """The seed of the lab at `root`. `ask` returns the passphrase; None without a terminal.

    PlexError if a file is missing, damaged or readable by others, or if the key does not open it.
    """
    path = seed_file(root)
    folder, name = lab_file(root, path)
    sealed = folder.read(name, MOST_SEALED)
    if sealed is None:
        raise PlexError(
            f"this lab has no root seed: {path} does not exist",
            hint="restore the file if the lab had one; otherwise `plexctl init` creates it",
        )
    if sealed.startswith(b"age-encryption.org/v1\n-> scrypt "):
        opened = _open_with_passphrase(path, sealed, ask)
    else:
        opened = _open_with_key(path, sealed, key_file(config_dir))
    if len(opened) != SEED_LENGTH:
        raise UsageError(
            f"{path} has {len(opened)} bytes instead of {SEED_LENGTH}",
            hint="restore the file that plexctl wrote",
        )
    return RootSeed(Secret(opened))


def create(root: Path, config_dir: Path, passphrase: Secret | None = None) -> RootSeed:
    """Create the seed of the lab at `root`, encrypted with `passphrase` or with the user's key.

    PlexError if the lab has a seed: another one would lock plexctl out of every running plex.
    """
    seed = _create(root, config_dir, passphrase)
    if seed is None:
        raise PlexError(
            f"this lab has a root seed already: {seed_file(root)}",
            hint="raise `epoch` in plex.yaml to give a plex new keys",
        )
    return seed


def load_or_create(
    root: Path, config_dir: Path, ask: Callable[[], Secret] | None = None
) -> RootSeed:
    """The seed of the lab at `root`; created with the user's key if the lab has none."""
    return _create(root, config_dir, None) or load(root, config_dir, ask)


def _create(root: Path, config_dir: Path, passphrase: Secret | None) -> RootSeed | None:
    """A new seed; None if there is one, maybe created by another process just now.

    The user's key is written before the seed: a crash leaves no seed that nothing opens.
    """
    path = seed_file(root)
    if path.exists():
        return None
    seed = RootSeed(Secret(os.urandom(SEED_LENGTH)))
    if passphrase is None:
        identity = _ensure_identity(key_file(config_dir))
        sealed = pyrage.encrypt(seed.value.reveal(), [identity.to_public()])
    else:
        sealed = pyrage.passphrase.encrypt(seed.value.reveal(), passphrase.reveal_text())
    return seed if write_missing(root, path, sealed) else None


def _open_with_passphrase(path: Path, sealed: bytes, ask: Callable[[], Secret] | None) -> bytes:
    if ask is None:
        raise PlexError(
            f"the root seed {path} needs a passphrase, and there is no terminal to ask for it",
            hint="run plexctl in a terminal",
        )
    passphrase = ask()
    for attempt in range(ATTEMPTS):
        try:
            return bytes(pyrage.passphrase.decrypt(sealed, passphrase.reveal_text()))
        except pyrage.DecryptError as error:
            said = str(error)
        if EXCESSIVE not in said:
            raise PlexError(
                f"the passphrase does not open the root seed {path}, or the file is damaged",
                details=(f"age says: {said}",),
            )
        time.sleep(0.1 * attempt)
    raise PlexError(
        f"this machine is too slow or too busy to open the root seed {path} with a passphrase",
        details=(f"age says: {said}",),
        hint="run the command again when the machine is less busy",
    )


def _open_with_key(path: Path, sealed: bytes, key: Path) -> bytes:
    copy_key = f"copy the AGE-SECRET-KEY line of age.key from a machine that opens it to {key}"
    identities = _read_identities(key)
    if not identities:
        raise PlexError(
            f"the root seed {path} is encrypted, and the key {key} does not exist",
            hint=f"{copy_key}, then chmod 600 {key}",
        )
    try:
        return bytes(pyrage.decrypt(sealed, identities))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise PlexError(
                f"no key in {key} opens the root seed {path}",
                details=("another machine or another user created it, or it is damaged",),
                hint=f"{copy_key}; that file may have several keys",
            ) from None
        raise UsageError(
            f"the root seed {path} is damaged",
            details=(f"age says: {error}",),
            hint="restore it from version control or a backup",
        ) from None


def _read_identities(key: Path) -> list[pyrage.x25519.Identity]:
    """The identities in `key`; none if it does not exist."""
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
        text = key.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PlexError(f"cannot read {key}: {error.strerror}") from error
    if mode & 0o077:
        raise PlexError(
            f"the key {key} can be read by others (mode {mode:04o})", hint=f"chmod 600 {key}"
        )
    lines = [line.strip() for line in text.splitlines()]
    identities = [line for line in lines if line and not line.startswith("#")]
    try:
        return [pyrage.x25519.Identity.from_str(line) for line in identities]
    except pyrage.IdentityError:
        raise PlexError(
            f"the key {key} is damaged", hint="write it again: lines AGE-SECRET-KEY-1… and comments"
        ) from None


def _ensure_identity(key: Path) -> pyrage.x25519.Identity:
    """The user's own identity, the first in `key`; the file is created if it does not exist."""
    try:
        make_folders(key.parent, PRIVATE)
    except OSError as error:
        raise PlexError(f"cannot create the folder {key.parent}: {error.strerror}") from error
    if not key.exists():
        new = pyrage.x25519.Identity.generate()
        write_new(key, f"# public key: {new.to_public()}\n{new}\n".encode(), 0o600)
    identities = _read_identities(key)
    if not identities:
        raise PlexError(f"there is no key in {key}", hint="delete the file, or restore the key")
    return identities[0]
