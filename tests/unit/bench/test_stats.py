"""Statistics of samples."""

from __future__ import annotations

from tests.bench.stats import FLOOR, PLEXCTL, Measure, Sample, ratio, rows, table

READY = Measure("ready", "all Ready")
MEMORY = Measure("memory", "memory", "MiB", 0)
PLAN = Measure("plan", "plan")
MEASURES = (READY, MEMORY, PLAN)


def of_both(name: str, plexctl: list[float], floor: list[float]) -> list[Sample]:
    return [
        Sample(name, side, turn, value)
        for side, values in ((PLEXCTL, plexctl), (FLOOR, floor))
        for turn, value in enumerate(values, start=1)
    ]


def test_the_ratio_is_of_pairs_and_not_of_medians() -> None:
    """The second round was made on a busy machine: both sides took five times as long."""
    samples = of_both("ready", [2.0, 10.0, 6.0], [4.0, 50.0, 10.0])

    assert ratio(samples) == 0.5
    assert rows([READY], samples)[0].sides[PLEXCTL].median == 6.0


def test_a_round_that_failed_on_one_side_makes_no_pair() -> None:
    samples = [
        Sample("ready", PLEXCTL, 1, 1.0),
        Sample("ready", PLEXCTL, 2, 3.0),
        Sample("ready", FLOOR, 2, 4.0),
        Sample("ready", FLOOR, 3, 1.0),
    ]

    assert ratio(samples) == 0.75
    assert ratio(samples[:1]) is None


def test_several_samples_of_a_round_count_as_their_median() -> None:
    values = [(PLEXCTL, 1.0), (PLEXCTL, 2.0), (PLEXCTL, 9.0), (FLOOR, 4.0)]

    assert ratio([Sample("ready", side, 1, value) for side, value in values]) == 0.5


def test_a_floor_that_took_nothing_has_no_ratio() -> None:
    assert ratio(of_both("memory", [5.0], [0.0])) is None


def test_values_that_are_not_positive_have_no_ratio() -> None:
    assert ratio(of_both("memory", [-5.0], [10.0])) is None
    assert ratio(of_both("memory", [-5.0, 5.0], [10.0, 10.0])) == 0.5


def test_a_measure_that_is_not_compared_has_no_ratio() -> None:
    stolen = Measure("stolen", "stolen", "core-s", compared=False)
    [row] = rows([stolen], of_both("stolen", [1.0], [4.0]))
    assert row.ratio is None


def test_the_table_shows_what_was_measured() -> None:
    samples = [
        *of_both("ready", [5.5, 6.25, 5.0], [19.0, 20.0, 25.0]),
        *of_both("memory", [1800.4], [2000.6]),
        Sample("plan", PLEXCTL, 1, 0.31),
    ]

    assert table(rows(MEASURES, samples)).splitlines() == [
        "                       plexctl                floor",
        "           unit   min   median   max    min  median    max  ratio",
        "all Ready  s     5.00     5.50  6.25  19.00   20.00  25.00   0.29",
        "memory     MiB   1800     1800  1800   2001    2001   2001   0.90",
        "plan       s     0.31     0.31  0.31      -       -      -      -",
    ]


def test_a_measure_without_samples_has_no_row() -> None:
    assert [row.measure for row in rows(MEASURES, of_both("plan", [1.0], []))] == [PLAN]
    assert rows(MEASURES, []) == ()
