"""Results about backups, as text."""

from __future__ import annotations

from plexctl.render.tables import size
from plexctl.results.backups import BackupResult


def backup(result: BackupResult) -> str:
    return (
        f"{result.plex}: backup {result.file} ({size(result.size)}) after"
        f" {result.seconds['all']:.1f} s; `plexctl up {result.plex} --restore {result.file}`"
        " restores it"
    )
