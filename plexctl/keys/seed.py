"""The root seed: 32 random bytes from which every key of a lab is derived.

It lives age-encrypted in the lab's folder, so that it may be kept in version control; what opens
it is an age identity in the user's config folder, or a passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyrage

from plexctl.errors import PlexError
from plexctl.model.files import write_new
from plexctl.model.secret import Secret

SEED_LENGTH = 32  # bytes


@dataclass(frozen=True, slots=True)
class RootSeed:
    """The secret of a lab. Whoever has it has every key of every plex in it."""

    value: Secret

    def __post_init__(self) -> None:
        if len(self.value.reveal()) != SEED_LENGTH:
            raise ValueError(f"a root seed has {SEED_LENGTH} bytes")

    def derive(self, *path: str, length: int = 32) -> bytes:
        """`length` bytes (at most 8160) that belong to `path` alone: HKDF-SHA256 (RFC 5869).

        Each part is written with its length before it, so ("a", "bc") and ("ab", "c") differ.
        """
        # The library's HKDF gives the same bytes, but its import takes longer than all else here.
        info = b"".join(len(part).to_bytes(4, "big") + part for part in map(str.encode, path))
        key = hmac.digest(b"plexctl root seed 1", self.value.reveal(), "sha256")
        output = block = b""
        for counter in range(1, -(-length // hashlib.sha256().digest_size) + 1):
            block = hmac.digest(key, block + info + bytes([counter]), "sha256")
            output += block
        return output[:length]

    @property
    def lab_id(self) -> str:
        """8 hex digits that tell this lab from others; public."""
        return self.derive("lab-id", length=4).hex()


def seed_file(root: Path) -> Path:
    return root / "clusters" / "seed.age"


def key_file(config_dir: Path) -> Path:
    """The user's age identities, as `age-keygen` writes them; one per line, any may open a seed."""
    return config_dir / "age.key"


def user_config_dir() -> Path:
    """Where the user's key is unless told otherwise: ~/.config/plexctl."""
    from platformdirs import user_config_path

    return user_config_path("plexctl")


def load(root: Path, config_dir: Path, ask: Callable[[], Secret] | None = None) -> RootSeed:
    """The seed of the lab at `root`. `ask` gives the passphrase; None if no one can be asked.

    PlexError if a file is missing, damaged or readable by others, or does not fit the key.
    """
    path = seed_file(root)
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        raise PlexError(
            f"this lab has no root seed: {path} does not exist",
            hint="bring the file back if the lab had one, else `plexctl init` makes it",
        ) from None
    except OSError as error:
        raise PlexError(f"cannot read {path}: {error.strerror}") from error
    if sealed.startswith(b"age-encryption.org/v1\n-> scrypt "):
        opened = _open_with_passphrase(path, sealed, ask)
    else:
        opened = _open_with_key(path, sealed, key_file(config_dir))
    if len(opened) != SEED_LENGTH:
        raise PlexError(
            f"{path} holds {len(opened)} bytes, a root seed has {SEED_LENGTH}",
            hint="bring back the file that plexctl wrote",
        )
    return RootSeed(Secret(opened))


def create(root: Path, config_dir: Path, passphrase: Secret | None = None) -> RootSeed:
    """Make the seed of the lab at `root`, locked with `passphrase` or else with the user's key.

    PlexError if the lab has a seed: with it every running plex would be lost.
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
    """The seed of the lab at `root`, made and locked with the user's key if the lab has none."""
    return _create(root, config_dir, None) or load(root, config_dir, ask)


def _create(root: Path, config_dir: Path, passphrase: Secret | None) -> RootSeed | None:
    """A new seed; None if there is one, maybe made by another process just now.

    The user's key is on the disk before the seed is: no crash leaves a seed that nothing opens.
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
    _make_folder(path.parent, 0o755)
    return seed if write_new(path, sealed) else None


def _open_with_passphrase(path: Path, sealed: bytes, ask: Callable[[], Secret] | None) -> bytes:
    if ask is None:
        raise PlexError(
            f"the root seed {path} is locked with a passphrase, and there is no one to ask for it",
            hint="run plexctl at a terminal",
        )
    try:
        return bytes(pyrage.passphrase.decrypt(sealed, ask().reveal_text()))
    except pyrage.DecryptError as error:
        raise PlexError(
            f"the passphrase does not open the root seed {path}, or the file is damaged",
            details=(f"age says: {error}",),
        ) from None


def _open_with_key(path: Path, sealed: bytes, key: Path) -> bytes:
    carry_over = f"copy the AGE-SECRET-KEY line of age.key from the machine that opens it to {key}"
    identities = _read_identities(key)
    if not identities:
        raise PlexError(
            f"the root seed {path} is locked, and its key {key} does not exist",
            hint=f"{carry_over}, then chmod 600 {key}",
        )
    try:
        return bytes(pyrage.decrypt(sealed, identities))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise PlexError(
                f"no key in {key} opens the root seed {path}",
                details=("it was made on another machine or by another user, or is damaged",),
                hint=f"{carry_over}; the file may hold several",
            ) from None
        raise PlexError(
            f"the root seed {path} is damaged",
            details=(f"age says: {error}",),
            hint="bring it back from version control or a backup",
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
            f"the key {key} is damaged", hint="it must have lines AGE-SECRET-KEY-1… and comments"
        ) from None


def _ensure_identity(key: Path) -> pyrage.x25519.Identity:
    """The user's own identity, the first in `key`; the file is made if it does not exist."""
    _make_folder(key.parent, 0o700)
    if not key.exists():
        new = pyrage.x25519.Identity.generate()
        write_new(key, f"# public key: {new.to_public()}\n{new}\n".encode(), 0o600)
    identities = _read_identities(key)
    if not identities:
        raise PlexError(f"there is no key in {key}", hint="remove the file, or put the key back")
    return identities[0]


def _make_folder(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise PlexError(f"cannot make the folder {folder}: {error.strerror}") from error
