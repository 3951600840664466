"""The lab's own age keys, for which SOPS encrypts the lab's secrets in version control.

They are derived from the root seed: a clone of the lab and the key of its seed are enough to read
the secrets.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyrage

from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def sops_identity(seed: RootSeed, epoch: int) -> Secret:
    """The secret key of an epoch as age writes it: AGE-SECRET-KEY-1…"""
    return age_identity(seed.derive("sops", "age", str(epoch)))


def age_identity(scalar: bytes) -> Secret:
    """32 bytes as a secret key of age: AGE-SECRET-KEY-1…"""
    return Secret(_bech32("age-secret-key-", scalar).upper().encode())


def sops_recipient(seed: RootSeed, epoch: int) -> str:
    """The public key of an epoch: age1…"""
    identity = pyrage.x25519.Identity.from_str(sops_identity(seed, epoch).reveal_text())
    return str(identity.to_public())


def identity_file(seed: RootSeed, epochs: int) -> Secret:
    """The keys of all epochs up to `epochs`, the newest first, as age-keygen writes them.

    The older keys still open what was encrypted before the epoch was raised.
    """
    lines = (
        f"# public key: {sops_recipient(seed, epoch)}\n{sops_identity(seed, epoch).reveal_text()}\n"
        for epoch in range(epochs, 0, -1)
    )
    return Secret("".join(lines).encode())


def sealed(seed: RootSeed, epoch: int, secret: Secret) -> bytes:
    """`secret` as a file for version control, encrypted for an epoch."""
    recipient = pyrage.x25519.Recipient.from_str(sops_recipient(seed, epoch))
    return bytes(pyrage.encrypt(secret.reveal(), [recipient]))


def opened(seed: RootSeed, epochs: int, content: bytes) -> Secret | None:
    """The secret in a file of `sealed`, of any epoch up to `epochs`; None if no key opens it."""
    identities = [
        pyrage.x25519.Identity.from_str(sops_identity(seed, epoch).reveal_text())
        for epoch in range(1, epochs + 1)
    ]
    try:
        return Secret(bytes(pyrage.decrypt(content, identities)))
    except pyrage.DecryptError:
        return None


def _bech32(prefix: str, data: bytes) -> str:
    """`data` in the format of BIP 173, whose last six characters are a checksum.

    pyrage reads this format, but writes it only for keys of its own random bytes.
    """
    bits = int.from_bytes(data) << (-len(data) * 8 % 5)
    words = [bits >> shift & 31 for shift in range(-(-len(data) * 8 // 5) * 5 - 5, -1, -5)]
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    checksum = _polymod([*expanded, *words, *[0] * 6]) ^ 1
    words += [checksum >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(_ALPHABET[word] for word in words)


def _polymod(words: Iterable[int]) -> int:
    """The remainder that is BIP 173's checksum."""
    remainder = 1
    for word in words:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ word
        for place, generator in enumerate(_GENERATOR):
            remainder ^= generator if top >> place & 1 else 0
    return remainder
