"""Measured values, printed as they arrive."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from plexctl.errors import PlexError
from tests.bench.stats import Failure, Measure, Sample


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Results:
    wanted: frozenset[str]  # names of measures
    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Failure] = field(default_factory=list)

    def wants(self, *measures: Measure) -> bool:
        return any((measure.of or measure.name) in self.wanted for measure in measures)

    def record(self, side: str, turn: int) -> Record:
        return Record(self, side, turn)


@dataclass(slots=True)
class Record:
    """Where one step on one side puts what it measures; what nobody wants is not kept."""

    results: Results
    side: str
    round: int
    done: set[str] = field(default_factory=set)  # names of measures, wanted or not

    def add(self, measure: Measure, value: float) -> None:
        self.done.add(measure.name)
        if self.results.wants(measure):
            sample = Sample(measure.name, self.side, self.round, value)
            self.results.samples.append(sample)
            self._report(measure, f"{value:.{measure.digits}f} {measure.unit}")

    def failed(self, measures: tuple[Measure, ...], error: PlexError) -> None:
        """It failed at the first of `measures` that is not done."""
        measure = next((one for one in measures if one.name not in self.done), measures[-1])
        text = "\n".join((error.summary, *error.details))
        self.results.failures.append(Failure(measure.name, self.side, self.round, text))
        self._report(measure, "failed")

    def skipped(self, measures: tuple[Measure, ...], why: str) -> None:
        """Those of `measures` that are chosen by their own name and wanted are not measured."""
        for measure in measures:
            if not measure.of and self.results.wants(measure):
                failure = Failure(measure.name, self.side, self.round, why)
                self.results.skipped.append(failure)
                self._report(measure, "skipped")

    def _report(self, measure: Measure, what: str) -> None:
        report(f"  {self.side:8} {measure.title.strip()}: {what}")
