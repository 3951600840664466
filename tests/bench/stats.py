"""From samples to rows, and from rows to a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

PLEXCTL, FLOOR = "plexctl", "floor"
SIDES = (PLEXCTL, FLOOR)


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured, on both sides or on plexctl's alone."""

    name: str  # as `--only` takes it
    title: str
    unit: str = "s"
    digits: int = 2
    of: str = ""  # the measure that it comes with, if it is not chosen by itself
    compared: bool = True  # whether less of it is a merit of the side that has it


@dataclass(frozen=True, slots=True)
class Sample:
    measure: str
    side: str  # one of SIDES
    round: int  # samples of both sides of one round make a pair
    value: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A measurement that gave nothing."""

    measure: str
    side: str
    round: int
    error: str


@dataclass(frozen=True, slots=True)
class Spread:
    samples: tuple[float, ...]

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def maximum(self) -> float:
        return max(self.samples)


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `sides` lacks a side that has no sample."""

    measure: Measure
    sides: Mapping[str, Spread]
    ratio: float | None  # plexctl's part of the floor's


def rows(measures: Iterable[Measure], samples: Sequence[Sample]) -> tuple[Row, ...]:
    """A row for each measure that has samples, in the order of `measures`."""
    found = (_row(m, [s for s in samples if s.measure == m.name]) for m in measures)
    return tuple(row for row in found if row.sides)


def _row(measure: Measure, samples: Sequence[Sample]) -> Row:
    values = {side: [s.value for s in samples if s.side == side] for side in SIDES}
    spreads = {side: Spread(tuple(found)) for side, found in values.items() if found}
    return Row(measure, spreads, ratio(samples) if measure.compared else None)


def ratio(samples: Iterable[Sample]) -> float | None:
    """The median of the ratios of each round, as a machine's mood changes between rounds.

    None where no round has positive samples of both sides. Several of one count as their median.
    """
    rounds: dict[int, dict[str, list[float]]] = {}
    for sample in samples:
        rounds.setdefault(sample.round, {}).setdefault(sample.side, []).append(sample.value)
    pairs = [
        (median(sides[PLEXCTL]), median(sides[FLOOR]))
        for sides in rounds.values()
        if PLEXCTL in sides and FLOOR in sides
    ]
    ratios = [ours / below for ours, below in pairs if ours > 0 and below > 0]
    return median(ratios) if ratios else None


def table(found: Sequence[Row]) -> str:
    """Lines of aligned columns: minimum, median and maximum of each side, and the ratio."""
    spread = ("min", "median", "max")
    lines = [
        ("", "", "", PLEXCTL, "", "", FLOOR, "", ""),
        ("", "unit", *spread, *spread, "ratio"),
        *(_cells(row) for row in found),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    cells = [row.measure.title, row.measure.unit]
    for side in SIDES:
        spread = row.sides.get(side)
        values = (spread.minimum, spread.median, spread.maximum) if spread else ()
        cells += [f"{value:.{row.measure.digits}f}" for value in values] or ["-"] * 3
    return (*cells, "-" if row.ratio is None else f"{row.ratio:.2f}")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right."""
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join((*words, *numbers)).rstrip()
