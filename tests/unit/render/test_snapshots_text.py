"""Results about snapshots, as text."""

from __future__ import annotations

from pathlib import Path

from plexctl.render.snapshots_text import delete, export, restore, save, snapshots
from plexctl.results.snapshots import (
    SnapshotDeleteResult,
    SnapshotExportResult,
    SnapshotRestoreResult,
    SnapshotRow,
    SnapshotSaveResult,
    SnapshotsResult,
)
from plexctl.results.status import NodeRow

NODE = NodeRow("demo1", "master", "kube", "local", "10.1.1.11", "Running", True, "v1.36.3", "")


def row(name: str, age: int, size: int | None, lacking: tuple[str, ...] | None) -> SnapshotRow:
    return SnapshotRow(name, "", age, size, 3, lacking is None, lacking or ())


def test_snapshots_are_listed_with_age_and_size_and_why_one_is_incomplete() -> None:
    rows = (
        row("old", 15 * 86400, 3 << 20, ("demo2", "demo3")),
        row("gone", 3 * 3600, None, ()),
        row("minutes", 600, None, None),
        row("new", 8, 1 << 30, None),
    )
    assert snapshots(SnapshotsResult("demo", rows)).splitlines() == [
        "SNAPSHOT  AGE     SIZE     NODES  NOTE",
        "old       15 d    3.0 MiB  3      incomplete: demo2, demo3 came later",
        "gone      3 h              3      incomplete: nodes that it had are gone",
        "minutes   10 min           3",
        "new       8 s     1.0 GiB  3",
    ]
    assert "no snapshots; `plexctl snapshot save`" in snapshots(SnapshotsResult("demo", ()))


def test_a_save_says_how_long_nodes_stood_still() -> None:
    result = SnapshotSaveResult("demo", "old", ("demo1", "demo2"), {"frozen": 0.314, "all": 1}, "")
    assert save(result) == (
        "demo: snapshot old of 2 nodes after 1.0 s; they stood still for 0.31 s"
    )


def test_a_restore_says_when_the_cluster_was_back() -> None:
    seconds = {"restored": 1.9, "api": 4.0, "nodes": 5.5, "dns": 7.0, "pods": 9.0, "all": 9.1}
    result = SnapshotRestoreResult("demo", "old", (NODE,), seconds, "")
    assert restore(result).splitlines()[-1] == (
        "demo: old restored after 1.9 s, 1 node Ready after 5.5 s, DNS after 7.0 s,"
        " pods after 9.0 s"
    )


def test_a_deletion_names_the_nodes() -> None:
    result = SnapshotDeleteResult("demo", "old", ("demo1", "demo2"))
    assert delete(result) == "demo: deleted snapshot old of demo1, demo2"


def test_an_export_says_what_is_in_the_file() -> None:
    file, nodes = Path("x.tar"), ("demo1", "demo2")
    result = SnapshotExportResult("demo", "old", file, nodes, 3 << 30, {"all": 12.34}, "")
    assert export(result) == (
        "demo: snapshot old of 2 nodes is in x.tar (3.0 GiB) after 12.3 s;"
        " it has all keys and Secrets of the cluster"
    )
