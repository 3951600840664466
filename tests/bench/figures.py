"""Figures as a file of JSON: written after a run, and read again beside those of other runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plexctl.errors import PlexError
from tests.bench.stats import SIDES, Failure, Measure, Row, Spread


@dataclass(frozen=True, slots=True)
class Figures:
    """What one or more runs have found, and on what machine."""

    about: Mapping[str, str]
    rows: Sequence[Row]
    failures: Sequence[Failure] = ()
    skipped: Sequence[Failure] = ()


def document(figures: Figures) -> dict[str, Any]:
    """What `--json` writes. Values are in the unit of their measure."""
    return {
        "machine": dict(figures.about),
        "measures": {row.measure.name: _row(row) for row in figures.rows},
        "failures": [_failure(one) for one in figures.failures],
        "skipped": [_failure(one) for one in figures.skipped],
    }


def read(files: Iterable[Path]) -> Figures:
    """Figures of earlier runs together; what is in several files is taken from the last of them."""
    about: dict[str, list[str]] = {}
    found: dict[str, Row] = {}
    failures: list[Failure] = []
    skipped: list[Failure] = []
    for file in files:
        one = _read(file)
        for name, value in one.about.items():
            if value not in about.setdefault(name, []):
                about[name].append(value)
        found.update({row.measure.name: row for row in one.rows})
        failures += one.failures
        skipped += one.skipped
    joined = {name: " / ".join(values) for name, values in about.items()}
    return Figures(joined, tuple(found.values()), failures, skipped)


def of_engine(rows: Iterable[Row], engine: str) -> tuple[Row, ...]:
    """The rows under names of their own: they will stand beside those of the usual engine."""
    return tuple(replace(row, measure=_of_engine(row.measure, engine)) for row in rows)


def _of_engine(measure: Measure, engine: str) -> Measure:
    of = f"{measure.of}-{engine}" if measure.of else ""
    return replace(
        measure, name=f"{measure.name}-{engine}", title=f"{measure.title} ({engine})", of=of
    )


def _row(row: Row) -> dict[str, Any]:
    return {
        "title": row.measure.title,
        "unit": row.measure.unit,
        "digits": row.measure.digits,
        "of": row.measure.of,
        **{side: _numbers(row.sides.get(side)) for side in SIDES},
        "ratio": None if row.ratio is None else round(row.ratio, 3),
    }


def _numbers(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {
        "minimum": round(spread.minimum, 3),
        "median": round(spread.median, 3),
        "maximum": round(spread.maximum, 3),
        "samples": [round(value, 3) for value in spread.samples],
    }


def _failure(one: Failure) -> dict[str, Any]:
    return {"measure": one.measure, "side": one.side, "round": one.round, "error": one.error}


def _read(file: Path) -> Figures:
    try:
        content = json.loads(file.read_text())
        rows = tuple(_row_of(name, one) for name, one in content["measures"].items())
        failures, skipped = (
            [Failure(**one) for one in content[key]] for key in ("failures", "skipped")
        )
        return Figures(content["machine"], rows, failures, skipped)
    except OSError as error:
        raise PlexError(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlexError(f"{file} is not a file of figures that bin/bench has written") from error


def _row_of(name: str, one: Mapping[str, Any]) -> Row:
    measure = Measure(name, one["title"], one["unit"], one["digits"], one["of"])
    sides = {side: Spread(tuple(one[side]["samples"])) for side in SIDES if one[side]}
    return Row(measure, sides, one["ratio"])
