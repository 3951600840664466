"""Figures are written, read again and joined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from tests.bench.figures import Figures, document, of_engine, read
from tests.bench.stats import FLOOR, PLEXCTL, Failure, Measure, Sample, rows, table

READY = Measure("ready", "1+2: all Ready")
MEMORY = Measure("memory", "  memory then", "MiB", 0, of="ready")
PLAN = Measure("plan", "plan")
SAMPLES = [
    Sample("ready", PLEXCTL, 1, 5.12345),
    Sample("ready", PLEXCTL, 2, 6.0),
    Sample("ready", FLOOR, 1, 20.0),
    Sample("memory", PLEXCTL, 1, 400.4),
    Sample("plan", PLEXCTL, 1, 0.3),
]
FOUND = rows((READY, MEMORY, PLAN), SAMPLES)


def written(file: Path, figures: Figures) -> Path:
    file.write_text(json.dumps(document(figures)))
    return file


def test_the_json_has_samples_and_what_gave_none() -> None:
    failed = Failure("ready", FLOOR, 2, "kubeadm init failed")
    skipped = Failure("ready-64", FLOOR, 1, "kernel.keys.maxkeys is 200")

    shown = document(Figures({"processors": "2"}, FOUND, [failed], [skipped]))

    assert shown["machine"] == {"processors": "2"}
    assert shown["measures"]["ready"] == {
        "title": "1+2: all Ready",
        "unit": "s",
        "digits": 2,
        "of": "",
        "plexctl": {
            "minimum": 5.123,
            "median": 5.562,
            "maximum": 6.0,
            "samples": [5.123, 6.0],
        },
        "floor": {"minimum": 20.0, "median": 20.0, "maximum": 20.0, "samples": [20.0]},
        "ratio": 0.256,
    }
    assert shown["measures"]["plan"]["floor"] is None
    assert shown["failures"] == [
        {"measure": "ready", "side": "floor", "round": 2, "error": "kubeadm init failed"}
    ]
    assert [one["measure"] for one in shown["skipped"]] == ["ready-64"]


def test_figures_that_are_written_are_read_again(tmp_path: Path) -> None:
    failed = Failure("ready", FLOOR, 2, "kubeadm init failed")
    file = written(tmp_path / "one", Figures({"processors": "2"}, FOUND, [failed]))

    again = read([file])

    assert table(again.rows) == table(FOUND)
    assert (again.about, again.failures) == ({"processors": "2"}, [failed])


def test_the_last_file_counts_and_machines_stand_side_by_side(tmp_path: Path) -> None:
    newer = rows([READY], [Sample("ready", PLEXCTL, 1, 1.0)])
    one = written(tmp_path / "one", Figures({"memory": "24 GiB", "engine": "direct"}, FOUND))
    two = written(tmp_path / "two", Figures({"memory": "24 GiB", "engine": "tofu"}, newer))

    both = read([one, two])

    assert both.about == {"memory": "24 GiB", "engine": "direct / tofu"}
    assert [row.measure.name for row in both.rows] == ["ready", "memory", "plan"]
    assert both.rows[0].sides[PLEXCTL].samples == (1.0,)


def test_another_engine_has_rows_of_its_own() -> None:
    ready, memory, _ = (row.measure for row in of_engine(FOUND, "tofu"))

    assert (ready.name, ready.title) == ("ready-tofu", "1+2: all Ready (tofu)")
    assert (memory.name, memory.of, memory.title) == (
        "memory-tofu",
        "ready-tofu",
        "  memory then (tofu)",
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measures": {"ready": {}}}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "figures"
    file.write_text(content)

    with pytest.raises(PlexError, match="is not a file of figures"):
        read([file])
    with pytest.raises(PlexError, match="No such file"):
        read([tmp_path / "nothing"])
