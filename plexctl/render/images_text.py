"""Images and the depot, as text."""

from __future__ import annotations

from typing import assert_never

from plexctl.render.errors import shown_path
from plexctl.render.tables import count, size, table
from plexctl.results.images import BakeResult, DepotResult, PruneResult, VerifyResult

Result = BakeResult | DepotResult | PruneResult | VerifyResult


def text(result: Result) -> str:
    match result:
        case BakeResult():
            return _bake(result)
        case DepotResult():
            return _depot(result)
        case VerifyResult():
            return _verify(result)
        case PruneResult():
            gone = ", ".join(dict.fromkeys(result.components)) or "nothing"
            return f"removed {gone}; {size(result.freed)} freed"
        case _:
            assert_never(result)


def _bake(result: BakeResult) -> str:
    rows = [
        (row.type, row.kubernetes, row.host, row.name, "baked" if row.changed else "unchanged")
        for row in result.images
    ]
    lines = [table(("TYPE", "KUBERNETES", "HOST", "IMAGE", ""), rows)]
    if result.pruned:
        lines.append(f"removed {', '.join(result.pruned)}")
    return "\n".join(lines)


def _depot(result: DepotResult) -> str:
    where = shown_path(result.folder)
    if not result.components:
        return f"{where}: empty; `plexctl depot fill` fills it, and `up` and `bake` as needed"
    rows = [
        (row.component, row.version, row.source, str(row.artifacts), size(row.size))
        for row in result.components
    ]
    notes = [f"{row.component}: {note}" for row in result.components for note in row.notes]
    whole = size(sum(row.size for row in result.components))
    head = ("COMPONENT", "VERSION", "SOURCE", "FILES", "SIZE")
    return "\n".join([table(head, rows), *notes, f"{where}: {whole}"])


def _verify(result: VerifyResult) -> str:
    lines = [
        f"{one.name} of {one.component} {one.version}: SHA-256 {one.found}, not {one.expected}"
        for one in result.damaged
    ]
    if lines:
        return "\n".join([*lines, "removed; the next fill gets them anew"])
    return f"{count(result.components, 'component')}: every byte is as it was stored"
