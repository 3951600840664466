"""Results about snapshots, as text."""

from __future__ import annotations

from plexctl.render.plex_text import nodes_table
from plexctl.render.tables import age, count, size, table
from plexctl.results.snapshots import (
    SnapshotDeleteResult,
    SnapshotExportResult,
    SnapshotImportResult,
    SnapshotRestoreResult,
    SnapshotRow,
    SnapshotSaveResult,
    SnapshotsResult,
)


def save(result: SnapshotSaveResult) -> str:
    return (
        f"{result.plex}: snapshot {result.snapshot} of {count(len(result.nodes), 'node')} after"
        f" {result.seconds['all']:.1f} s; they stood still for {result.seconds['frozen']:.2f} s"
    )


def snapshots(result: SnapshotsResult) -> str:
    if not result.snapshots:
        return f"{result.plex}: no snapshots; `plexctl snapshot save` takes one"
    rows = [
        (
            row.name,
            age(row.age),
            size(row.size) if row.size is not None else "",
            str(row.nodes),
            _note(row),
        )
        for row in result.snapshots
    ]
    return table(("SNAPSHOT", "AGE", "SIZE", "NODES", "NOTE"), rows)


def export(result: SnapshotExportResult) -> str:
    return (
        f"{result.plex}: snapshot {result.snapshot} of {count(len(result.nodes), 'node')} is in"
        f" {result.file} ({size(result.size)}) after {result.seconds['all']:.1f} s; it has all keys"
        " and Secrets of the cluster"
    )


def restore(result: SnapshotRestoreResult | SnapshotImportResult) -> str:
    """Also of an import, which ends as a restore does."""
    seconds = result.seconds
    times = [f"restored after {seconds['restored']:.1f} s"]
    if "nodes" in seconds:
        members = [node for node in result.nodes if node.ready is not None]
        times.append(f"{count(len(members), 'node')} Ready after {seconds['nodes']:.1f} s")
    for key, word in (("dns", "DNS"), ("pods", "pods")):
        if key in seconds:
            times.append(f"{word} after {seconds[key]:.1f} s")
    return "\n".join(
        [nodes_table(result.nodes), "", f"{result.plex}: {result.snapshot} {', '.join(times)}"]
    )


def delete(result: SnapshotDeleteResult) -> str:
    return f"{result.plex}: deleted snapshot {result.snapshot} of {', '.join(result.nodes)}"


def _note(row: SnapshotRow) -> str:
    if row.complete:
        return ""
    if row.lacking:
        return f"incomplete: {', '.join(row.lacking)} came later"
    return "incomplete: nodes that it had are gone"
