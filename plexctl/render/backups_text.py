"""Results about backups, as text."""

from __future__ import annotations

from plexctl.render.tables import age, size, table
from plexctl.results.backups import BackupKeyResult, BackupResult, BackupsResult


def backup(result: BackupResult) -> str:
    return (
        f"{result.plex}: backup {result.file} ({size(result.size)}) after"
        f" {result.seconds['all']:.1f} s; `plexctl up {result.plex} --restore {result.file}`"
        " restores it"
    )


def backups(result: BackupsResult) -> str:
    if not result.backups:
        return f"{result.plex}: no backups in {result.to} yet"
    rows = [(row.name, age(row.age), size(row.size)) for row in result.backups]
    text = table(("BACKUP", "AGE", "SIZE"), rows)
    if result.late:
        text += (
            f"\n\nthe last one is old: `plexctl logs {result.plex}1 -u plex-backup`"
            " says why, if the nodes run"
        )
    return text


def key(result: BackupKeyResult) -> str:
    if not result.changed:
        return f"{result.plex}: these keys are stored already"
    return (
        f"{result.plex}: stored the keys in {result.file}; `plexctl up` gives them to the masters"
    )
