"""`bin/bench`: plexctl beside a hand-written script, in turn, on one machine.

Both make the same clusters from the same baked image. Times are taken from outside:
from the launch of the command until the cluster's API says what is waited for.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from plexctl.errors import PlexError
from tests.bench import machine, plot, stories
from tests.bench.engine import DIRECT, ENGINES
from tests.bench.figures import Figures, document, of_engine, read
from tests.bench.lab import SIGNALS, gitops, laboratory
from tests.bench.measures import MEASURES, OF_APPS
from tests.bench.results import Results, report
from tests.bench.stats import PLEXCTL, rows, table

NAMES = tuple(measure.name for measure in MEASURES if not measure.of)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    try:
        if options.figures:
            show(options, read(options.figures))
            return 0
        return measured(options)
    except PlexError as error:
        report("\n".join((f"error: {error.summary}", *error.details)))
        return 1


def measured(options: argparse.Namespace) -> int:
    results = Results(frozenset(options.only))
    about: dict[str, str] = {}
    problem = ""
    for number in SIGNALS:
        signal.signal(number, interrupt)
    minutes = stories.minutes(results, options.runs, options.big_runs)
    report(f"about {max(1, round(minutes))} minutes on two processors")
    try:
        about |= machine.describe()
        everything(options, results, about)
    except KeyboardInterrupt:
        problem = "interrupted"
    except PlexError as error:
        problem = "\n".join((f"error: {error.summary}", *error.details))
    finally:  # what took an hour is not lost by a fault of the bench's own
        found = rows(MEASURES, results.samples)
        if options.engine != DIRECT:
            found = of_engine(found, options.engine)
        show(options, Figures(about, found, results.failures, results.skipped))
    if problem:
        report(problem)
    return 1 if problem or results.failures else 0


def everything(options: argparse.Namespace, results: Results, about: dict[str, str]) -> None:
    """The small ones in rounds, those with apps, and at last the big ones."""
    small, big = (
        [one for one in stories.STORIES if one.big == kind and one.wanted(results, PLEXCTL)]
        for kind in (False, True)
    )
    with laboratory(options.engine) as lab:
        about |= lab.versions
        for turn in range(1, options.runs + 1) if small or stories.any_alone(results) else ():
            report(f"round {turn} of {options.runs}")
            for story in small:
                stories.play(story, lab, results, turn)
            stories.alone(lab, results, turn)
        for turn in range(1, options.big_runs + 1) if big else ():
            report(f"many nodes, round {turn} of {options.big_runs}")
            for story in big:
                stories.play(story, lab, results, turn)
    if results.wants(*OF_APPS):
        with gitops(options.engine) as lab:
            for turn in range(1, options.runs + 1):
                report(f"apps, round {turn} of {options.runs}")
                stories.apps(lab, results, turn)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench",
        description=__doc__.split("\n\n")[1],
        epilog=(
            "Without --all, --quick or --only: all that needs no more than three nodes. Minutes of"
            f" one round of the others on two processors: {stories.minutes_of_big()}."
        ),
    )
    which = parser.add_mutually_exclusive_group()
    for option, names, text in (
        ("--quick", stories.QUICK, "one master and two workers up, until DNS answers"),
        ("--all", NAMES, "also the plexes of many nodes"),
    ):
        which.add_argument(option, dest="only", action="store_const", const=names, help=text)
    which.add_argument(
        "--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument("--engine", choices=ENGINES, default=DIRECT, help="that makes the plex")
    parser.add_argument("--runs", type=positive, default=3, metavar="N", help="rounds (3)")
    parser.add_argument(
        "--big-runs", type=positive, default=1, metavar="N", help="rounds with many nodes (1)"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="figures in JSON, in a file beside the table or in the table's place",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures, as SVG")
    parser.add_argument(
        "--from",
        dest="figures",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure nothing: show, join and draw what --json has written before",
    )
    parser.set_defaults(only=stories.small())
    return parser.parse_args(argv)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def interrupt(number: int, _: FrameType | None) -> None:
    """The first signal ends the measurements, and further ones nothing."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def show(options: argparse.Namespace, figures: Figures) -> None:
    text = json.dumps(document(figures), indent=2)
    if options.json == "-":
        print(text)
    else:
        for name, value in figures.about.items():
            print(f"{name}: {value}")
        print(f"\n{table(figures.rows) if figures.rows else 'nothing was measured'}")
        if options.json:
            Path(options.json).write_text(f"{text}\n")
    if options.plot and figures.rows:
        options.plot.write_text(plot.svg(figures.rows, figures.about))
    for word, found in (("", figures.failures), ("skipped ", figures.skipped)):
        for one in found:
            report(f"\n{word}{one.measure} of {one.side}, round {one.round}: {one.error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
