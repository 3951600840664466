"""Hosts as text."""

from __future__ import annotations

from typing import assert_never

from plexctl.render.tables import count, size, table
from plexctl.results.hosts import HostPreparedResult, HostResult, HostsResult

Result = HostPreparedResult | HostResult | HostsResult


def text(result: Result) -> str:
    match result:
        case HostsResult():
            return _hosts(result)
        case HostPreparedResult():
            return _prepared(result)
        case HostResult():
            return result.text if result.changed else f"{result.text}: unchanged"
        case _:
            assert_never(result)


def _hosts(result: HostsResult) -> str:
    rows = [
        (
            row.name,
            row.kind,
            row.where,
            str(row.cpus),
            size(row.memory),
            "?" if row.instances is None else str(row.instances),
        )
        for row in result.hosts
    ]
    lines = [table(("HOST", "KIND", "AT", "CPUS", "MEMORY", "INSTANCES"), rows), ""]
    unreachable = [row for row in result.hosts if row.answer != "answers"]
    if not unreachable:
        return "\n".join((*lines, f"{count(len(rows), 'host')}: all answer"))
    return "\n".join((*lines, *(row.answer for row in unreachable)))


def _prepared(result: HostPreparedResult) -> str:
    rows = [
        (item.name, "changed" if item.changed else "unchanged", "; ".join(item.tasks))
        for item in result.items
    ]
    lines = [table(("ITEM", "", "WHAT"), rows), *(f"note: {note}" for note in result.notes)]
    return "\n".join((*lines, "", result.text if result.changed else f"{result.text}: unchanged"))
