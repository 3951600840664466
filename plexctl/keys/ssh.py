"""SSH keys of a lab: ed25519 in OpenSSH's format, the same bytes for the same seed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

KEY_TYPE = b"ssh-ed25519"
CIPHER_BLOCK = 8  # bytes; the padding of an unencrypted key
LINE = 70  # characters of a line of ssh-keygen


@dataclass(frozen=True, slots=True)
class SshKey:
    """`public` is one line, "ssh-ed25519 AAAA… comment"; `private` the text of a key file."""

    public: str
    private: Secret


def host_key(seed: RootSeed, plex: str, epoch: int, node: str) -> SshKey:
    """The host key of `node`. A recreated node has the same one."""
    return derived_key(seed, ("ssh", "host", plex, str(epoch), node), node)


def client_key(seed: RootSeed) -> SshKey:
    """The key with which the user logs in to all nodes of the lab."""
    return derived_key(seed, ("ssh", "client"), f"plexctl-{seed.short_id}")


def derived_key(seed: RootSeed, path: tuple[str, ...], comment: str) -> SshKey:
    """The key for `path`."""
    secret = seed.derive(*path)
    point = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    blob = _string(KEY_TYPE) + _string(point)
    return SshKey(
        public=f"{KEY_TYPE.decode()} {base64.b64encode(blob).decode()} {comment}",
        private=Secret(_private_file(secret, point, blob, comment)),
    )


def _private_file(secret: bytes, point: bytes, blob: bytes, comment: str) -> bytes:
    """OpenSSH's PROTOCOL.key, unencrypted.

    Its check number shows a reader that decryption succeeded. It is random in ssh-keygen and in the
    library's serializer; here it is a digest of the key, so that the bytes are always the same.
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
    """A string in the SSH protocol: its length in four bytes, then the string."""
    return len(data).to_bytes(4, "big") + data
