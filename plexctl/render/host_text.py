"""Results about hosts, as text."""

from __future__ import annotations

from plexctl.render.tables import count, size, table
from plexctl.results.hosts import HostPreparedResult, HostResult, HostsResult


def hosts(result: HostsResult) -> str:
    rows = [
        (
            row.name,
            row.kind,
            row.version or "?",
            row.endpoint,
            str(row.cpus),
            size(row.memory),
            "?" if row.instances is None else str(row.instances),
        )
        for row in result.hosts
    ]
    head = ("HOST", "KIND", "VERSION", "ENDPOINT", "CPUS", "MEMORY", "INSTANCES")
    lines = [table(head, rows), "", *(f"note: {row.note}" for row in result.hosts if row.note)]
    unreachable = [row.unreachable for row in result.hosts if row.unreachable]
    return "\n".join((*lines, *(unreachable or [f"{count(len(rows), 'host')}: all reachable"])))


def prepared(result: HostPreparedResult) -> str:
    rows = [
        (item.name, "changed" if item.changed else "unchanged", "; ".join(item.tasks))
        for item in result.items
    ]
    lines = [table(("ITEM", "", "TASKS"), rows), *(f"note: {note}" for note in result.notes)]
    return "\n".join((*lines, "", _message(result)))


def host(result: HostResult) -> str:
    return _message(result)


def _message(result: HostResult | HostPreparedResult) -> str:
    return result.message if result.changed else f"{result.message}: unchanged"
