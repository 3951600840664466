"""The lab's registry as text."""

from __future__ import annotations

from plexctl.render.tables import count, size, table
from plexctl.workflow.results import RegistryResult


def registry_text(result: RegistryResult) -> str:
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
    if result.well:
        pushed = count(len(result.repositories), "pushed artifact")
        return "\n".join([*lines, f"{result.registry}: all is well; {pushed} at {address}"])
    if all(row.instance == "missing" for row in result.hosts):
        return "\n".join(
            [*lines, f"{result.registry}: it is not there; `plexctl registry up` makes it"]
        )
    return "\n".join([*lines, f"{result.registry}: not well", f"  {address}: {result.api}"])
