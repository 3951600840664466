"""Results about the lab's registry, as text."""

from __future__ import annotations

from plexctl.render.plex_text import changes_text
from plexctl.render.tables import count, size, table
from plexctl.results.registry import ANSWERS, RegistryResult, RegistryUpResult


def up(result: RegistryUpResult) -> str:
    return f"{result.registry}: {changes_text(result.changes)}; it is at https://{result.endpoint}"


def status(result: RegistryResult) -> str:
    rows = [
        (row.host, row.instance, size(row.used) if row.used is not None else "")
        for row in result.hosts
    ]
    lines = [
        table(("HOST", "STATUS", "USED"), rows),
        "",
        table(("CACHE OF", "UPSTREAM"), tuple(result.upstreams.items())),
        "",
    ]
    if result.repositories:
        lines.append(f"pushed: {', '.join(result.repositories)}")
    address = f"https://{result.endpoint}"
    if result.healthy:
        pushed = count(len(result.repositories), "pushed artifact")
        return "\n".join([*lines, f"{result.registry}: healthy; {pushed} at {address}"])
    if all(row.instance == "missing" for row in result.hosts):
        return "\n".join(
            [*lines, f"{result.registry}: not created; `plexctl registry up` creates it"]
        )
    unhealthy = (f"  host {row.host}: {row.api}" for row in result.hosts if row.api != ANSWERS)
    return "\n".join([*lines, f"{result.registry}: unhealthy", *unhealthy])
