"""The lab's registry as text."""

from __future__ import annotations

from typing import assert_never

from plexctl.render.plex_text import done
from plexctl.render.tables import count, size, table
from plexctl.results.registry import ANSWERS, RegistryResult, RegistryUpResult

Result = RegistryResult | RegistryUpResult


def text(result: Result) -> str:
    match result:
        case RegistryResult():
            return _registry(result)
        case RegistryUpResult():
            made = done(result.changes)
            return f"{result.registry}: {made}; it is at https://{result.endpoint}"
        case _:
            assert_never(result)


def _registry(result: RegistryResult) -> str:
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
        return "\n".join([*lines, f"{result.registry}: all is well; {pushed} at {address}"])
    if all(row.instance == "missing" for row in result.hosts):
        return "\n".join(
            [*lines, f"{result.registry}: it is not there; `plexctl registry up` makes it"]
        )
    ill = (f"  host {row.host}: {row.api}" for row in result.hosts if row.api != ANSWERS)
    return "\n".join([*lines, f"{result.registry}: not well", *ill])
