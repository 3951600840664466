"""SSH keys of a lab: ed25519, in OpenSSH's own format, the same bytes for the same seed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

KEY_TYPE = b"ssh-ed25519"
CIPHER_BLOCK = 8  # bytes; what an unencrypted key is padded to
LINE = 70  # characters; where ssh-keygen breaks


@dataclass(frozen=True, slots=True)
class SshKey:
    """`public` is one line, "ssh-ed25519 AAAA… comment"; `private` the text of a key file."""

    public: str
    private: Secret


def host_key(seed: RootSeed, plex: str, epoch: int, node: str) -> SshKey:
    """What the sshd of `node` shows; stays the same when the node is recreated."""
    return derived_key(seed, ("ssh", "host", plex, str(epoch), node), node)


def client_key(seed: RootSeed) -> SshKey:
    """What the lab logs in to all its nodes with."""
    return derived_key(seed, ("ssh", "client"), f"plexctl-{seed.lab_id}")


def derived_key(seed: RootSeed, path: tuple[str, ...], comment: str) -> SshKey:
    """The key that belongs to `path` alone."""
    secret = seed.derive(*path)
    point = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    blob = _string(KEY_TYPE) + _string(point)
    return SshKey(
        public=f"{KEY_TYPE.decode()} {base64.b64encode(blob).decode()} {comment}",
        private=Secret(_private_file(secret, point, blob, comment)),
    )


def _private_file(secret: bytes, point: bytes, blob: bytes, comment: str) -> bytes:
    """OpenSSH's PROTOCOL.key, unencrypted.

    Its check number, by which a reader sees that it decrypted well, is random in ssh-keygen and in
    the library's serializer; here it is made from the key, or the bytes would differ each time.
    """
    check = hashlib.sha256(blob).digest()[:4]
    private = b"".join((check, check, blob, _string(secret + point), _string(comment.encode())))
    private += bytes(range(1, -len(private) % CIPHER_BLOCK + 1))
    none, one_key = _string(b"none"), (1).to_bytes(4, "big")
    no_options = _string(b"")
    whole = b"".join(
        (b"openssh-key-v1\0", none, none, no_options, one_key, _string(blob), _string(private))
    )
    text = base64.b64encode(whole).decode()
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    begin, end = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
    return "\n".join((begin, *lines, end, "")).encode()


def _string(data: bytes) -> bytes:
    """A string as the SSH protocol writes it: four bytes of length before it."""
    return len(data).to_bytes(4, "big") + data
