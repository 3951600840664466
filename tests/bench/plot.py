"""Figures as a picture: one SVG that needs nothing else, on light and on dark backgrounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.stats import FLOOR, PLEXCTL, SIDES, Measure, Row, Spread

WIDTH = 920
LEFT, RIGHT = 300, 660
"""Pixels: where the axes begin and end."""
COLUMNS = {PLEXCTL: 740, FLOOR: 820, "ratio": 896}
"""Pixels: where the numbers at the right end."""
ROW, HEAD, LINE = 24, 54, 16
RADIUS = 5
LEAST = 10.0
"""How many times its beginning the end of an axis is: no small difference looks like a big one."""

UNITS = {
    "s": "seconds",
    "core-s": "processor seconds of the whole machine until then",
    "MiB": "MiB more than before, when all are Ready",
    "cores": "processors busy, of the whole machine",
}
COLORS = {  # what: on light, on dark
    "bg": ("#ffffff", "#0d1117"),
    "text": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9198a1"),
    "grid": ("#d8dee4", "#2a3038"),
    PLEXCTL: ("#0969da", "#4493f8"),
    FLOOR: ("#bc4c00", "#db6d28"),
}


def svg(rows: Sequence[Row], about: Mapping[str, str]) -> str:
    """An axis for each unit, a line for each measure: medians as dots, extremes as lines."""
    titles = {row.measure.name: row.measure.title for row in rows}
    parts: list[str] = [*_legend()]
    top = 44.0
    for unit in dict.fromkeys(row.measure.unit for row in rows):
        panel = [row for row in rows if row.measure.unit == unit]
        parts += _panel(panel, titles, unit, top)
        top += HEAD + ROW * len(panel)
    top += 28
    for number, (name, value) in enumerate(about.items()):
        parts.append(_text(16, top + LINE * number, f"{name}: {value}", "soft"))
    height = round(top + LINE * len(about) + 4)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}" role="img">'
    )
    name = "<title>plexctl beside a hand-written script</title>"
    background = f'<rect class="bg" width="{WIDTH}" height="{height}" rx="8"/>'
    return "\n".join((head, name, f"<style>{_style()}</style>", background, *parts, "</svg>\n"))


@dataclass(frozen=True, slots=True)
class Axis:
    """Logarithmic: the same ratio is the same length anywhere."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Axis:
        """With some room at both ends. Values must be positive; none are taken as one."""
        low, high = min(values, default=1.0), max(values, default=1.0)
        room = max(1.25, math.sqrt(LEAST * low / high))
        return cls(low / room, high * room)

    def at(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return LEFT + part * (RIGHT - LEFT)

    def ticks(self) -> tuple[float, ...]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1,) if len(decades) > 4 else (1, 2, 5)
        found = (step * 10.0**decade for decade in decades for step in steps)
        return tuple(tick for tick in found if self.low <= tick <= self.high)


def _panel(rows: Sequence[Row], titles: Mapping[str, str], unit: str, top: float) -> Iterator[str]:
    spreads = [spread for row in rows for spread in row.sides.values()]
    axis = Axis.over([v for s in spreads for v in (s.minimum, s.maximum) if v > 0])
    yield _text(16, top + 16, UNITS.get(unit, unit), "head")
    for name, end in COLUMNS.items():
        yield _text(end, top + 16, name, "soft end")
    first, last = top + 30, top + 30 + ROW * len(rows)
    for tick in axis.ticks():
        x = axis.at(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{first:.1f}" y2="{last:.1f}"/>'
        yield _text(x, last + 13, f"{tick:g}", "soft mid")
    for number, row in enumerate(rows):
        yield from _line(row, label(row.measure, titles), axis, first + ROW * (number + 0.5))


def label(measure: Measure, titles: Mapping[str, str]) -> str:
    """A title that can stand alone: one that comes with another measure names that measure."""
    own = measure.title.strip().replace(" until then", "").replace(" then", "")
    whose = titles.get(measure.of, measure.of).partition(":")
    return f"{whose[0]}: {own}" if measure.of else own


def _line(row: Row, title: str, axis: Axis, y: float) -> Iterator[str]:
    yield _text(16, y + 4, title, "text")
    shown = {side: spread for side, spread in row.sides.items() if spread.minimum > 0}
    if len(shown) == len(SIDES):
        ours, below = (axis.at(shown[side].median) for side in SIDES)
        yield _rule("between", ours, below, y)
    for side, spread in shown.items():
        yield _rule(f"range {side}", axis.at(spread.minimum), axis.at(spread.maximum), y)
        x = axis.at(spread.median)
        said = escape(f"{title}, {side}: {_words(spread, row.measure)}")
        yield (
            f'<circle class="{side}" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}">'
            f"<title>{said}</title></circle>"
        )
    for side, spread in row.sides.items():
        median = f"{spread.median:.{row.measure.digits}f}"
        yield _text(COLUMNS[side], y + 4, median, f"{side} end")
    if row.ratio is not None:
        yield _text(COLUMNS["ratio"], y + 4, f"{row.ratio:.2f}", "text end")


def _words(spread: Spread, measure: Measure) -> str:
    low, middle, high = (
        f"{value:.{measure.digits}f}" for value in (spread.minimum, spread.median, spread.maximum)
    )
    return f"{middle} {measure.unit} ({low} to {high}, {len(spread.samples)} samples)"


def _legend() -> Iterator[str]:
    yield _text(16, 28, "plexctl beside a hand-written script", "title")
    x = 352.0
    for side, words in ((PLEXCTL, "plexctl"), (FLOOR, "the script (floor)")):
        yield f'<circle class="{side}" cx="{x}" cy="24" r="{RADIUS}"/>'
        yield _text(x + 10, 28, words, "text")
        x += 80
    words = "dot: median, line: minimum to maximum, log axes"
    yield _text(COLUMNS["ratio"], 28, words, "soft end")


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _rule(kind: str, left: float, right: float, y: float) -> str:
    return f'<line class="{kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _style() -> str:
    plain = (
        "text{font:12px -apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
        ".title{font-size:15px;font-weight:600}.head{font-weight:600}"
        ".end{text-anchor:end}.mid{text-anchor:middle}"
        ".between{stroke-width:1.5;stroke-dasharray:2 3}.range{stroke-width:3;stroke-opacity:.45}"
    )
    return f"{plain}{_colors(0)}@media(prefers-color-scheme:dark){{{_colors(1)}}}"


def _colors(which: int) -> str:
    color = {name: pair[which] for name, pair in COLORS.items()}
    sides = "".join(
        f".{side}{{fill:{color[side]}}}line.{side}{{stroke:{color[side]}}}" for side in SIDES
    )
    return (
        f".bg{{fill:{color['bg']}}}.text,.title,.head{{fill:{color['text']}}}"
        f".soft{{fill:{color['soft']}}}.grid{{stroke:{color['grid']}}}"
        f".between{{stroke:{color['soft']}}}{sides}"
    )
