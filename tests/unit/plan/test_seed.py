"""The seed of a VM: a disk that cloud-init reads, always with the same bytes."""

from __future__ import annotations

import io
import time

import pycdlib
import pytest

from plexctl.plan.boot.seed import seed_iso

WORDS = ("#cloud-config\n", "version: 2\n", "instance-id: demo1\n")
BOOT = bytes(range(256)) * 1500


def test_it_has_the_label_and_the_files_of_nocloud_in_both_name_formats() -> None:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(seed_iso(BOOT, *WORDS)))
    user_data, network_config, meta_data = (text.encode() for text in WORDS)
    wanted = {
        "user-data": user_data,
        "network-config": network_config,
        "meta-data": meta_data,
        "boot.tar": BOOT,
    }

    assert iso.pvd.volume_identifier.strip() == b"CIDATA"
    for kind in ("rr_path", "joliet_path"):
        found = {}
        for name in wanted:
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{kind: f"/{name}"})
            found[name] = content.getvalue()
        assert found == wanted


def test_only_root_can_read_its_files() -> None:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(seed_iso(BOOT, *WORDS)))

    assert iso.file_mode(rr_path="/boot.tar") == 0o100400


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_neither_the_time_nor_the_time_zone_changes_a_byte(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seed_iso(BOOT, *WORDS)
    then = time.time() + 40_000_000
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        patch.setattr(time, "time", lambda: then)
        after = seed_iso(BOOT, *WORDS)
    time.tzset()

    assert after == before
