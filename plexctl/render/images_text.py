"""Results about images and the depot, as text."""

from __future__ import annotations

from plexctl.render.errors import shown_path
from plexctl.render.tables import count, size, table
from plexctl.results.images import (
    BakeResult,
    DepotResult,
    PruneResult,
    VerifyResult,
    VersionsResult,
)


def prune(result: PruneResult) -> str:
    gone = dict.fromkeys((*result.components, *result.recordings))
    deleted = ", ".join(gone) or "nothing"
    kept = ", ".join(dict.fromkeys(result.kept))
    stay = f"\nkept {kept}: other labs use it" if kept else ""
    return f"deleted {deleted}; freed {size(result.freed)}{stay}"


def bake(result: BakeResult) -> str:
    rows = [
        (row.type, row.kubernetes, row.host, row.name, "baked" if row.changed else "unchanged")
        for row in result.images
    ]
    lines = [table(("TYPE", "KUBERNETES", "HOST", "IMAGE", ""), rows)]
    if result.pruned:
        lines.append(f"deleted {', '.join(result.pruned)}")
    return "\n".join(lines)


def depot(result: DepotResult) -> str:
    where = shown_path(result.folder)
    if not result.components:
        return f"{where}: empty; `plexctl depot fill`, `bake` and `up` fill it"
    rows = [
        (row.component, row.version, row.source, str(row.artifacts), size(row.size))
        for row in result.components
    ]
    notes = [f"{row.component}: {note}" for row in result.components for note in row.notes]
    whole = size(sum(row.size for row in result.components))
    head = ("COMPONENT", "VERSION", "SOURCE", "FILES", "SIZE")
    return "\n".join([table(head, rows), *notes, f"{where}: {whole}"])


def versions(result: VersionsResult) -> str:
    rows = [
        (
            row.version,
            "release, build" if row.released else "build",
            row.source if row.stored else "-",
            ", ".join(row.plexes) or "-",
        )
        for row in result.versions
    ]
    first = f"a plex without `kubernetes` has {result.default}"
    return "\n".join([table(("VERSION", "SOURCES", "IN DEPOT", "PLEXES"), rows), first])


def verify(result: VerifyResult) -> str:
    lines = [
        f"{one.name} of {one.component} {one.version}: SHA-256 {one.found}, expected {one.expected}"
        for one in result.damaged
    ]
    if lines:
        return "\n".join([*lines, "deleted; `plexctl depot fill` fetches them again"])
    return f"{count(result.checked, 'component')}: all checksums match"
