"""Timelines as an SVG for light and dark backgrounds, without external resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from plexctl.observe.lanes import Bar, Lane, Phase, bars, lanes, ticks
from plexctl.observe.timeline import Ending, Instant, NodeLine, Timeline
from plexctl.render.timeline_text import MILESTONES, head

WIDTH = 960
RIGHT = 24
CHARACTER = 6.3
"""Approximate width of a character of a label, in pixels."""

WIDEST = 38
"""Characters of a label; longer labels are cut."""

MOST = 40
"""Lanes at most; more nodes share lanes."""

ROW = 20
BAR = 14
THIN = 4
"""Height in pixels: of a lane, of its bar, and of the thinnest bar if nodes share a lane."""

VISIBLE = 0.002
"""Share of the whole time: shorter phases are not visible, and not in the legend."""

COLORS = {  # class: on light, on dark
    "bg": ("#ffffff", "#0d1117"),
    "text": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9198a1"),
    "grid": ("#d8dee4", "#2a3038"),
    "step": ("#818b98", "#818b98"),
    "mile": ("#8250df", "#ab7df8"),
    "leaves": ("#cf222e", "#f85149"),
    "made": ("#a0a9b4", "#6e7681"),
    "waits": ("#e3e8ee", "#262c34"),
    "boots": ("#218bff", "#388bfd"),
    "registers": ("#e0a526", "#d29922"),
    "ready": ("#2da44e", "#3fb950"),
}
CLASSES = {
    Phase.DELETING: "leaves",
    Phase.CREATING: "made",
    Phase.WAITING: "waits",
    Phase.BOOTING: "boots",
    Phase.JOINING: "registers",
    Phase.SETTLING: "ready",
}
SHORT = {"api": "API", "rbac": "RBAC", "kubeadm": "kubeadm", "dns": "DNS", "apps": "apps"}
"""Labels of milestones above the chart. The milestone "ready" is written "all Ready"."""


@dataclass(frozen=True, slots=True)
class _Scale:
    left: float
    end: float  # seconds at the right edge

    def x(self, at: float) -> float:
        return round(self.left + min(at, self.end) / self.end * (WIDTH - RIGHT - self.left), 1)


def svg_text(line: Timeline) -> str:
    """A whole SVG file."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture(line)}\n'


def picture(line: Timeline) -> str:
    """The element `svg`: steps and nodes over one axis of time."""
    rows = lanes(line, MOST)
    labels = [_cut(step.title) for step in line.steps] + [r.label for r in rows]
    scale = _Scale(20 + CHARACTER * max(map(len, labels), default=8), line.end or 1.0)
    marks, high = _milestones(line, scale)
    top = 62.0 + high
    parts = list(_steps(line, scale, top))
    y = top + ROW * len(line.steps) + (10 if line.steps else 0)
    for lane in rows:
        parts += _lane(lane, line, scale, y)
        y += _height(lane)
    axis = list(_axis(scale, top, y))
    height = round(y + 46)
    title, run, when = head(line)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img" class="timeline">',
            f"<title>{escape(title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="bg" width="{WIDTH}" height="{height}"/>',
            f'<text x="14" y="26" class="head">{escape(_cut(title, 120))}</text>',
            f'<text x="14" y="44" class="soft">{escape(run)}, {escape(when)}</text>',
            *axis,
            *parts,
            *(mark.format(bottom=y) for mark in marks),
            *_legend(rows, scale.end, y + 34),
            "</svg>",
        ]
    )


def _steps(line: Timeline, scale: _Scale, top: float) -> Iterator[str]:
    for n, step in enumerate(line.steps):
        y, ended = top + n * ROW, line.seconds if step.ended is None else step.ended
        took = f"{ended - step.began:.2f} s, from {step.began:.2f} s"
        kind = "leaves" if step.outcome == "failed" else "step"
        yield _label(scale, y, _cut(step.title))
        tip = f"{step.title}: {step.text or step.outcome or 'unfinished'}; {took}"
        yield _rect(scale, y, BAR, kind, step.began, ended, tip)


def _lane(lane: Lane, line: Timeline, scale: _Scale, y: float) -> Iterator[str]:
    until = None if line.ending is Ending.DONE else line.seconds
    yield _label(scale, y + (_height(lane) - ROW) / 2, lane.label)
    high = _thin(lane)
    for n, node in enumerate(lane.nodes):
        place = y + n * (high + 1)
        for bar in bars(node, until):
            yield _phase(scale, place, high, node, bar)
        if len(lane.nodes) == 1:
            yield from _dots(scale, place, node)


def _phase(scale: _Scale, y: float, high: float, node: NodeLine, bar: Bar) -> str:
    tip = f"{node.name} {bar.phase}: {bar.began:.2f} to {bar.ended:.2f} s"
    return _rect(scale, y, high, CLASSES[bar.phase], bar.began, bar.ended, tip)


def _dots(scale: _Scale, y: float, node: NodeLine) -> Iterator[str]:
    """Details of a node: systemd units as strokes, containers as dots."""
    for what in ("booted", "containerd", "kubelet"):
        if (at := node.at(what)) is not None:
            x = scale.x(at)
            tip = f"<title>{node.name} {what} at {at:.2f} s</title>"
            yield f'<path class="unit" d="M{x} {y:g}v{BAR}">{tip}</path>'
    for one in node.containers:
        tip = escape(f"{one.name} of {one.pod} started at {one.at:.2f} s")
        x = scale.x(one.at)
        place = f'cx="{x}" cy="{y + BAR / 2:g}" r="3"'
        yield f'<circle class="pod" {place}><title>{tip}</title></circle>'


def _milestones(line: Timeline, scale: _Scale) -> tuple[list[str], int]:
    """Lines through all lanes, down to `{bottom}`, and the height of their labels."""
    found, ends = [], [-1.0] * 6  # where the labels of each row end
    for one in line.milestones:
        text, x = _milestone(one), scale.x(one.at)
        wide = CHARACTER * len(text) + 8
        fits = x + wide < WIDTH
        begin = x + 3 if fits else x - wide
        row = next((n for n, end in enumerate(ends) if end < begin), len(ends) - 1)
        ends[row] = begin + wide
        y = 64 + 14 * row
        tip = escape(f"{MILESTONES[one.name]}: {one.at:.2f} s")
        found.append(
            f'<path class="mile" d="M{x} {y - 8}V{{bottom:g}}"><title>{tip}</title></path>'
            f'<text class="miletext{"" if fits else " end"}" x="{x + (3 if fits else -4):.1f}"'
            f' y="{y}">{text}</text>'
        )
    return found, 14 * sum(end >= 0 for end in ends)


def _milestone(one: Instant) -> str:
    return f"{SHORT.get(one.name, 'all Ready')} {one.at:.1f}"


def _axis(scale: _Scale, top: float, bottom: float) -> Iterator[str]:
    for tick in ticks(scale.end, 14):
        x = scale.x(tick)
        yield f'<path class="grid" d="M{x} {top - 4:g}V{bottom:g}"/>'
        unit = " s" if tick == 0 else ""
        yield f'<text class="soft mid" x="{x}" y="{bottom + 13:g}">{tick:g}{unit}</text>'


def _legend(rows: Sequence[Lane], end: float, y: float) -> Iterator[str]:
    drawn = [bar for row in rows for node in row.nodes for bar in bars(node)]
    used = {bar.phase for bar in drawn if bar.ended - bar.began > VISIBLE * end}
    x = 14.0
    for phase, kind in CLASSES.items():
        if phase in used:
            yield f'<rect class="{kind}" x="{x:.1f}" y="{y - 9:g}" width="10" height="10"/>'
            yield f'<text class="soft" x="{x + 14:.1f}" y="{y:g}">{phase}</text>'
            x += 32 + CHARACTER * len(phase)
    if any(node.containers for row in rows if len(row.nodes) == 1 for node in row.nodes):
        yield f'<circle class="pod" cx="{x + 5:.1f}" cy="{y - 4:g}" r="3"/>'
        yield f'<text class="soft" x="{x + 14:.1f}" y="{y:g}">a container starts</text>'


def _rect(
    scale: _Scale, y: float, high: float, kind: str, began: float, ended: float, tip: str
) -> str:
    x = scale.x(began)
    wide = max(1.0, round(scale.x(ended) - x, 1))
    return (
        f'<rect class="{kind}" x="{x}" y="{y:g}" width="{wide}" height="{high:g}">'
        f"<title>{escape(tip)}</title></rect>"
    )


def _label(scale: _Scale, y: float, text: str) -> str:
    return f'<text class="label" x="{scale.left - 8:.1f}" y="{y + 11:g}">{escape(text)}</text>'


def _thin(lane: Lane) -> float:
    return max(THIN, BAR // len(lane.nodes)) if len(lane.nodes) > 1 else BAR


def _height(lane: Lane) -> float:
    return max(ROW, len(lane.nodes) * (_thin(lane) + 1) + 4)


def _cut(text: str, most: int = WIDEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _style() -> str:
    """Simple CSS rules, light first: many viewers of pictures support no others."""
    plain = (
        ".timeline{font:11px system-ui,sans-serif}.timeline .head{font-size:14px;font-weight:600}"
        ".timeline .label,.timeline .end{text-anchor:end}.timeline .mid{text-anchor:middle}"
        ".timeline .mile{stroke-dasharray:3 3}.timeline .unit{stroke-opacity:.6}"
    )
    return f"{plain}{_colors(0)}@media(prefers-color-scheme:dark){{{_colors(1)}}}"


def _colors(which: int) -> str:
    rules = {kind: f"fill:{COLORS[kind][which]}" for kind in (*CLASSES.values(), "step", "bg")}
    text, soft, grid, mile, bg = (COLORS[k][which] for k in ("text", "soft", "grid", "mile", "bg"))
    rules |= {
        "soft": f"fill:{soft}",
        "grid": f"stroke:{grid}",
        "mile": f"stroke:{mile}",
        "miletext": f"fill:{mile}",
        "unit": f"stroke:{text}",
        "pod": f"fill:{bg};stroke:{text}",
    }
    styles = "".join(f".timeline .{kind}{{{rule}}}" for kind, rule in rules.items())
    return f".timeline text{{fill:{text}}}{styles}"
