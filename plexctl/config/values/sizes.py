"""Sizes of memory and disks."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar

_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40} | {
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(KiB|MiB|GiB|TiB|kB|MB|GB|TB)"
_SIZE_EXAMPLE = "for example 512MiB, 2GiB or 1.5GB"
LEAST_MEMORY, LEAST_DISK, MOST_SIZE = 2**24, 2**28, 2**50
"""Bytes. Below 16 MiB no system boots, and no root file system fits into 256 MiB."""


def _parse_size(value: object) -> int:
    match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
    if not match:
        raise Fault(f"must be a size with a unit, not {describe(value)}", _size_hint(value))
    size = int(Fraction(match[1]) * _UNITS[match[2]])
    if size == 0:
        raise Fault(f"must be greater than 0, not {describe(value)}")
    return size


def _at_least(least: int, what: str) -> Callable[[object], int]:
    def parse(value: object) -> int:
        size = _parse_size(value)
        if size < least:
            raise Fault(
                f"{describe(value)} is too little {what} for a node",
                f"use at least {least >> 20}MiB",
            )
        if size > MOST_SIZE:
            raise Fault(f"{describe(value)} is more {what} than a host can have", _SIZE_EXAMPLE)
        return size

    return parse


def _size_hint(value: object) -> str:
    """A hint for sizes such as "2Gi", "2 gib", "2G" and 2, which are common mistakes."""
    written = (
        re.fullmatch(r"([0-9.]+)\s*([kKmMgGtT])i?[bB]?", value, re.ASCII)
        if isinstance(value, str)
        else None
    )
    if written:
        unit = written[2].upper() + "iB"
        return f"did you mean {written[1]}{unit}?"
    return _SIZE_EXAMPLE


SIZE = Scalar(_parse_size, {"type": "string", "pattern": f"^{_SIZE}$"})
MEMORY = Scalar(_at_least(LEAST_MEMORY, "memory"), SIZE.json)
DISK = Scalar(_at_least(LEAST_DISK, "disk space"), SIZE.json)
