"""Results about apps, as text."""

from __future__ import annotations

from plexctl.model.apps import short
from plexctl.render.errors import shown_path
from plexctl.render.tables import count, table
from plexctl.results.apps import (
    AppRow,
    AppsResult,
    DiffResult,
    FluxKeyResult,
    PushResult,
    RenderResult,
    TokenResult,
)

SIGNS = {"create": "+", "update": "~", "delete": "-"}

SHOWN = 90
"""Characters of a message in a table; `--json` prints the whole message."""


def key(result: FluxKeyResult) -> str:
    return result.public_key


def token(result: TokenResult) -> str:
    did = "wrote" if result.changed else "unchanged:"
    return f"{did} {shown_path(result.file)}; `plexctl up {result.plex}` applies it"


def rendered(result: RenderResult) -> str:
    rows = [
        (one.app, one.chart, one.version, "written" if one.changed else "unchanged")
        for one in result.apps
    ]
    if not rows:
        return "no charts to render"
    use = "to apply the manifests, set `path: ./apps/APP/rendered` in the app's Kustomization"
    return f"{table(('APP', 'CHART', 'VERSION', 'MANIFESTS'), rows)}\n\n{use}"


def apps(result: AppsResult) -> str:
    rows = [
        (row.kind, row.name, row.state, short(row.revision), cut(_message(row)))
        for row in result.objects
    ]
    lines = [table(("KIND", "NAME", "STATE", "REVISION", "MESSAGE"), rows)] if rows else []
    if result.failures:
        lines += ["", *(f"failed: {line}" for line in result.failures)]
    elif not rows:
        lines.append(f"{result.plex}: Flux has nothing to apply")
    return "\n".join(lines)


def _message(row: AppRow) -> str:
    """An app's message; empty if it only repeats the revision, as Flux' does when ready."""
    return "" if row.revision and row.state == "ready" else row.message


def push(result: PushResult) -> str:
    did = "pushed" if result.changed else "unchanged"
    applied = f"applied after {result.seconds:.1f} s"
    last = applied if result.apps.healthy else "not everything is applied yet"
    return f"{apps(result.apps)}\n\n{result.plex}: {did} {short(result.digest)}; {last}"


def diff(result: DiffResult) -> str:
    parts = [f"{SIGNS[one.action]} {one.object}  ({one.app})\n{one.diff}" for one in result.changes]
    parts += [f"failed: {line}" for line in result.failures]
    if not parts:
        return f"{result.plex}: a push would change nothing"
    parts.append(f"{result.plex}: {count(len(result.changes), 'object')} would change")
    return "\n\n".join(parts)


def cut(message: str) -> str:
    """Cut a message to at most SHOWN characters."""
    return message if len(message) <= SHOWN else f"{message[: SHOWN - 1]}…"
