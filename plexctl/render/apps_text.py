"""What brings up apps, as text."""

from __future__ import annotations

from typing import assert_never

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

Result = AppsResult | DiffResult | FluxKeyResult | PushResult | RenderResult | TokenResult

SHOWN = 90
"""Characters of a message in a table; `--json` has all of it."""


def text(result: Result) -> str:
    match result:
        case AppsResult():
            return apps_text(result)
        case PushResult():
            return _push(result)
        case DiffResult():
            return _diff(result)
        case RenderResult():
            return _render(result)
        case FluxKeyResult():
            return result.public
        case TokenResult():
            did = "wrote" if result.changed else "unchanged:"
            return f"{did} {shown_path(result.file)}; `plexctl up {result.plex}` hands it over"
        case _:
            assert_never(result)


def _render(result: RenderResult) -> str:
    rows = [
        (one.app, one.chart, one.version, "written" if one.changed else "unchanged")
        for one in result.apps
    ]
    if not rows:
        return "nothing was rendered"
    taken = "a Kustomization with `path: ./apps/APP/rendered` takes them instead of the HelmRelease"
    return f"{table(('APP', 'CHART', 'VERSION', 'MANIFESTS'), rows)}\n\n{taken}"


def apps_text(result: AppsResult) -> str:
    rows = [
        (row.kind, row.name, row.state, short(row.revision), cut(_told(row))) for row in result.rows
    ]
    lines = [table(("KIND", "NAME", "STATE", "REVISION", "MESSAGE"), rows)] if rows else []
    if result.failures:
        lines += ["", *(f"failed: {line}" for line in result.failures)]
    elif not rows:
        lines.append(f"{result.plex}: Flux has nothing to apply")
    return "\n".join(lines)


def _told(row: AppRow) -> str:
    """What Flux says of what is ready is its revision once more."""
    return "" if row.revision and row.state == "ready" else row.message


def _push(result: PushResult) -> str:
    did = "pushed" if result.changed else "unchanged"
    applied = f"applied after {result.seconds:.1f} s"
    last = applied if result.apps.healthy else "not all of it is applied yet"
    return f"{apps_text(result.apps)}\n\n{result.plex}: {did} {short(result.digest)}; {last}"


def _diff(result: DiffResult) -> str:
    parts = [f"{one.action} {one.object}  ({one.app})\n{one.text}" for one in result.changes]
    parts += [f"failed: {line}" for line in result.failures]
    if not parts:
        return f"{result.plex}: a push would change nothing"
    parts.append(f"{result.plex}: {count(len(result.changes), 'object')} would change")
    return "\n\n".join(parts)


def cut(message: str) -> str:
    return message if len(message) <= SHOWN else f"{message[: SHOWN - 1]}…"
