"""Results about backups, as text."""

from __future__ import annotations

from pathlib import Path

from plexctl.render.backups_text import backup
from plexctl.results.backups import BackupResult


def test_a_backup_names_its_file_and_how_to_restore_it() -> None:
    result = BackupResult(
        "demo", Path("a.backup"), "2026-11-30T09:00:00+00:00", "1.36.3", 2048, {"all": 1.25}, "run"
    )

    assert backup(result) == (
        "demo: backup a.backup (2.0 KiB) after 1.2 s;"
        " `plexctl up demo --restore a.backup` restores it"
    )
