"""The disk that configures a VM at its first boot: cloud-init's NoCloud seed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

LABEL = "CIDATA"
"""The label by which cloud-init finds the disk."""

BOOT_TAR = "boot.tar"

_RECORD_DATE = bytes((126, 1, 1, 0, 0, 0, 0))
"""2026-01-01T00:00:00Z in a directory record: years since 1900, …, seconds, time zone."""

_VOLUME_DATE = b"2026010100000000\0"
_VOLUME_DATES = 813
"""Offset of the dates in a volume descriptor: created, modified, expires, effective."""

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_LAST_DESCRIPTOR = 255


def seed_iso(boot: bytes, user_data: str, network_config: str, meta_data: str) -> bytes:
    """An ISO 9660 image with the label CIDATA and `boot` as boot.tar.

    The files have names in Rock Ridge, where only root can read them, and in Joliet. Same inputs,
    same bytes.
    """
    import pycdlib  # only VMs of Incus hosts have such a seed

    files = {
        "user-data": user_data.encode(),
        "meta-data": meta_data.encode(),
        "network-config": network_config.encode(),
        BOOT_TAR: boot,
    }
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
    for number, (name, content) in enumerate(sorted(files.items())):
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=0o100400,
        )
    assert iso.joliet_vd is not None
    for root in (iso.pvd.root_directory_record(), iso.joliet_vd.root_directory_record()):
        for record in (root, *root.children):
            _set_dates(record)
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return _with_volume_dates(image.getvalue())


def _set_dates(record: Any) -> None:
    """Set fixed dates: the library writes the current time, and has no option for another one."""
    record.date = _record_date()
    if record.rock_ridge is None:
        return
    for entries in (record.rock_ridge.dr_entries, record.rock_ridge.ce_entries):
        if entries is not None and entries.tf_record is not None:
            stamps = entries.tf_record
            for name in ("access_time", "modification_time", "attribute_change_time"):
                if getattr(stamps, name) is not None:
                    setattr(stamps, name, _record_date())


def _record_date() -> Any:
    from pycdlib.dates import DirectoryRecordDate  # as in `seed_iso`

    date = DirectoryRecordDate()
    date.parse(_RECORD_DATE)
    return date


def _with_volume_dates(image: bytes) -> bytes:
    """`image` with fixed dates of the volume: the library sets the current time as it writes."""
    fixed = bytearray(image)
    for start in _descriptors(image):
        for place in (0, 1, 3):
            at = start + _VOLUME_DATES + place * len(_VOLUME_DATE)
            fixed[at : at + len(_VOLUME_DATE)] = _VOLUME_DATE
    return bytes(fixed)


def _descriptors(image: bytes) -> Iterator[int]:
    at = _FIRST_DESCRIPTOR * _SECTOR
    while image[at] != _LAST_DESCRIPTOR:
        yield at
        at += _SECTOR
