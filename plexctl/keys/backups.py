"""The keys of backups: one pair of age for the lab, and one key for each plex.

Whoever has the public key can write a backup, and only the seed opens it. What is in it is signed
with the key of the plex, which only masters have besides this machine: so a store of backups can
neither read nor forge one. It could present an older one.
"""

from __future__ import annotations

import hashlib
import hmac

import pyrage

from plexctl.keys.age import age_identity
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

SIGNATURE = hashlib.sha256().digest_size


def backup_identity(seed: RootSeed) -> Secret:
    """The secret key that opens the lab's backups, as age writes it."""
    return age_identity(seed.derive("backup", "age"))


def backup_recipient(seed: RootSeed) -> str:
    """The public key for which backups are encrypted: age1…"""
    identity = pyrage.x25519.Identity.from_str(backup_identity(seed).reveal_text())
    return str(identity.to_public())


def signing_key(seed: RootSeed, plex: str) -> Secret:
    """The key with which the masters of a plex sign its backups."""
    return Secret(seed.derive("backup", "sign", plex))


def seal(seed: RootSeed, content: bytes) -> bytes:
    """`content`, encrypted with age."""
    recipient = pyrage.x25519.Recipient.from_str(backup_recipient(seed))
    return bytes(pyrage.encrypt(content, [recipient]))


def unseal(seed: RootSeed, sealed: bytes) -> bytes:
    """The content. ValueError with a reason if this lab's key does not open it, or it is damaged.

    age cannot say which: a file of another lab has another key.
    """
    identity = pyrage.x25519.Identity.from_str(backup_identity(seed).reveal_text())
    try:
        return bytes(pyrage.decrypt(sealed, [identity]))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise ValueError("another lab has written it: its key is not from this seed") from error
        raise ValueError(f"it is damaged, or only a part of a backup ({error})") from error


def signature(key: Secret, content: bytes) -> bytes:
    """HMAC of `content` with SHA-256."""
    return hmac.digest(key.reveal(), content, "sha256")
