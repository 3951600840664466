"""When and where to backups are written."""

from __future__ import annotations

import re

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.config.values.names import matching

_UNITS = {"min": 60, "h": 3600, "d": 86400}
_DURATION = r"[1-9][0-9]{0,3}(min|h|d)"
LEAST, MOST = 300, 90 * 86400
"""Seconds between two backups."""

_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_FOLDER = rf"/(srv|mnt|var/backups)(/{_PART}){{1,6}}"
_S3 = rf"s3://{_BUCKET}(/{_PART}){{0,8}}/?"


def _parse_duration(value: object) -> int:
    match = re.fullmatch(_DURATION, value) if isinstance(value, str) else None
    if not match:
        raise Fault(f"must be a time with a unit, not {describe(value)}", "for example 30min or 6h")
    seconds = int(match[0].removesuffix(match[1])) * _UNITS[match[1]]
    if not LEAST <= seconds <= MOST:
        raise Fault(f"'{match[0]}' is not between 5 minutes and 90 days", "for example 6h")
    return seconds


def _parse_place(value: object) -> str:
    place = text(value)
    if re.fullmatch(_S3, place) or re.fullmatch(_FOLDER, place):
        return place.rstrip("/")
    raise Fault(
        f"{describe(value)} is no place for backups",
        "use s3://bucket/prefix, or a folder below /srv, /mnt or /var/backups, on a volume that"
        " plexctl puts there",
    )


DURATION = Scalar(_parse_duration, {"type": "string", "pattern": f"^{_DURATION}$"})
PLACE = Scalar(_parse_place, {"type": "string", "pattern": f"^({_S3}|{_FOLDER})$"})
REGION = matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a region", "for example us-east-1", 63)
