"""Results about backups, as text."""

from __future__ import annotations

from pathlib import Path

from plexctl.render.backups_text import backup, backups, key
from plexctl.results.backups import BackupKeyResult, BackupResult, BackupRow, BackupsResult


def test_a_backup_names_its_file_and_how_to_restore_it() -> None:
    result = BackupResult(
        "demo", Path("a.backup"), "2026-11-30T09:00:00+00:00", "1.36.3", 2048, {"all": 1.25}, "run"
    )

    assert backup(result) == (
        "demo: backup a.backup (2.0 KiB) after 1.2 s;"
        " `plexctl up demo --restore a.backup` restores it"
    )


def test_backups_are_a_table_and_old_ones_are_noted() -> None:
    row = BackupRow("demo-20261130T090000Z.backup", "2026-11-30T09:00:00+00:00", 7200, 2048)

    assert backups(BackupsResult("demo", "/srv/backups", (row,), late=False)).splitlines() == [
        "BACKUP                        AGE  SIZE",
        "demo-20261130T090000Z.backup  2 h  2.0 KiB",
    ]
    late = backups(BackupsResult("demo", "/srv/backups", (row,), late=True))
    assert "plexctl logs demo1 -u plex-backup" in late
    none = BackupsResult("demo", "s3://lab-backups", (), late=False)
    assert backups(none) == "demo: no backups in s3://lab-backups yet"


def test_stored_keys_name_the_next_step() -> None:
    assert "`plexctl up`" in key(BackupKeyResult("demo", Path("a.age"), changed=True))
    assert "stored already" in key(BackupKeyResult("demo", Path("a.age"), changed=False))
