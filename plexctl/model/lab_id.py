"""The public identifier of a lab in the tags of its objects: 128 bits in hex.

Older versions of plexctl wrote 32 bits, the beginning of the same identifier. Objects with such a
tag belong to the lab too, until `workflow.plex.relabel` gives them the whole identifier.
"""

from __future__ import annotations

SHORT = 8
"""Hex digits of a short identifier: for names that are limited in length, and for old tags."""


def short(lab: str) -> str:
    """The beginning of an identifier. It may be another lab's too: never decide an owner by it."""
    return lab[:SHORT]


def is_lab(tag: str | None, lab: str) -> bool:
    """Whether `tag`, of any object, names the lab with the identifier `lab`."""
    return tag is not None and tag in (lab, short(lab))
