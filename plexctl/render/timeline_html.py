"""Timelines as a page without external resources: the picture, and its numbers in tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from plexctl.observe.timeline import Timeline
from plexctl.render.timeline_svg import COLORS, picture
from plexctl.render.timeline_text import (
    COLUMNS,
    MILESTONES,
    head,
    notes,
    phase_state,
    seconds,
    step_title,
)


def html_text(line: Timeline) -> str:
    """A whole HTML file."""
    title = head(line)[0]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_style()}</style></head><body>",
            f"<figure>{picture(line)}</figure>",
            *([f"<p>{escape(line.error)}</p>"] if line.error else []),
            *_milestones(line),
            *_steps(line),
            *_phases(line),
            *_nodes(line),
            *_containers(line),
            *(f"<p>{escape(note)}</p>" for note in notes(line)),
            "</body></html>",
            "",
        ]
    )


def _milestones(line: Timeline) -> list[str]:
    rows = [(MILESTONES[one.name], seconds(one.at)) for one in line.milestones]
    return _table("The plex", ("", "at, s"), rows)


def _steps(line: Timeline) -> list[str]:
    rows = []
    for step in line.steps:
        ended = line.seconds if step.ended is None else step.ended
        outcome = step.outcome or "unfinished"
        rows.append((step_title(step), outcome, seconds(step.began), seconds(ended - step.began)))
    return _table("Steps", ("step", "", "at, s", "took, s"), rows)


def _phases(line: Timeline) -> list[str]:
    rows = []
    for one in line.phases:
        ended = line.seconds if one.ended is None else one.ended
        rows.append((one.name, phase_state(one), seconds(one.began), seconds(ended - one.began)))
    return _table("Phases", ("phase", "", "at, s", "took, s"), rows)


def _nodes(line: Timeline) -> list[str]:
    whats = [w for w in COLUMNS.values() if any(n.at(w) is not None for n in line.touched)]
    rows = [(node.name, *(seconds(node.at(what)) for what in whats)) for node in line.touched]
    return _table("Nodes", ("node", *whats), rows)


def _containers(line: Timeline) -> list[str]:
    rows = [
        (node.name, one.pod, one.name, seconds(one.at))
        for node in line.touched
        for one in node.containers
    ]
    return _table("Containers", ("node", "pod", "container", "started, s"), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, or nothing without rows. Long tables are folded."""
    if not rows:
        return []

    words = [any(cell[:1].isalpha() for cell in column) for column in zip(*rows, strict=True)]

    def cells(row: Sequence[str], tag: str) -> str:
        found = zip(row, words, strict=True)
        return "".join(f"<{tag}{' class=w' * w}>{escape(cell)}</{tag}>" for cell, w in found)

    body = [f"<tr>{cells(row, 'td')}</tr>" for row in rows]
    unfolded = " open" if len(rows) <= 40 else ""
    return [
        f"<details{unfolded}><summary>{title}</summary><div><table>",
        f"<thead><tr>{cells(heads, 'th')}</tr></thead><tbody>",
        *body,
        "</tbody></table></div></details>",
    ]


def _style() -> str:
    def colors(which: int) -> str:
        names = ("bg", "text", "soft", "grid")
        return "".join(f"--{name}:{COLORS[name][which]};" for name in names)

    return (
        f":root{{color-scheme:light dark;{colors(0)}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{colors(1)}}}}}"
        "body{background:var(--bg);color:var(--text);font:14px/1.5 system-ui,sans-serif;"
        "max-width:1000px;margin:0 auto;padding:16px}"
        "figure{margin:0;overflow-x:auto}details div{overflow-x:auto}"
        "summary{font-weight:600;margin:12px 0 4px;cursor:pointer}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "th,td{text-align:right;padding:2px 10px;border-bottom:1px solid var(--grid)}"
        "th{color:var(--soft);font-weight:500}.w{text-align:left}"
    )
