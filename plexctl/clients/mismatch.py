"""The error about bytes that are not the expected ones."""

from __future__ import annotations

from plexctl.errors import PlexError


def mismatch(
    what: str,
    expected: str,
    found: str,
    where: str,
    hint: str = "the file was deleted: a damaged or changed file must not become part of a node",
) -> PlexError:
    """The error for a wrong checksum. Digests are SHA-256 in hex."""
    return PlexError(
        f"{what}: the checksum does not match",
        details=(f"from      {where}", f"expected  sha256:{expected}", f"found     sha256:{found}"),
        hint=hint,
    )
