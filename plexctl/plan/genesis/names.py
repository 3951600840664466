"""Names as Kubernetes generates them; here the same each time."""

from __future__ import annotations

import hashlib

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of generated names, as in k8s.io/apimachinery/pkg/util/rand."""


def letters(text: str, length: int) -> str:
    """A part of a name that only `text` decides."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:length])
