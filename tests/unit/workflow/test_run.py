"""Runs: their lock, their journal, and the note of the next run about a killed one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.events import Event, Noted, Outcome, StepEnded
from plexctl.model.folder import Folder
from plexctl.model.resources import Key, Kind
from plexctl.model.state import claim, state_folder
from plexctl.workflow.core import journals
from plexctl.workflow.core.run import last_unfinished, start
from plexctl.workflow.plex.timeline import find_run, list_runs

STATE = ".plexctl"


def journal(state: Path) -> list[dict[str, object]]:
    file = max((state / "runs").glob("*.jsonl"))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_changes_are_in_the_journal_before_they_are_made(tmp_path: Path) -> None:
    with start(tmp_path / STATE, "up", "demo", lambda _: None) as run:
        run.intend({Key(Kind.INSTANCE, "local", "demo1"): "create: missing"})
        written = journal(tmp_path / STATE)

    assert written[-1]["changes"] == {"instance/local/demo1": "create: missing"}
    assert journal(tmp_path / STATE)[-1]["event"] == "Done"


def test_a_step_that_raises_has_failed(tmp_path: Path) -> None:
    events: list[Event] = []
    with (
        pytest.raises(PlexError),
        start(tmp_path / STATE, "up", "demo", events.append) as run,
        run.step("create instances"),
    ):
        raise PlexError("no room")

    assert [e.outcome for e in events if isinstance(e, StepEnded)] == [Outcome.FAILED]
    assert journal(tmp_path / STATE)[-1]["event"] == "Failed"


def test_only_one_run_at_a_time_works_on_a_plex(tmp_path: Path) -> None:
    with start(tmp_path / STATE, "up", "demo", lambda _: None):
        with (
            pytest.raises(PlexError, match="another plexctl is working on demo"),
            start(tmp_path / STATE, "scale", "demo", lambda _: None),
        ):
            pass
        with start(tmp_path / STATE, "up", "other", lambda _: None):
            pass


def test_the_next_run_reports_a_killed_run_but_not_a_failed_one(tmp_path: Path) -> None:
    state = tmp_path / STATE
    runs = state / "runs"
    runs.mkdir(parents=True, mode=0o700)
    claim(state)
    (runs / "20260101T000000.000-up-demo.jsonl").write_text('{"event": "Intended"}\n{"event": "St')
    events: list[Event] = []

    assert last_unfinished(Folder(runs), "demo") == "20260101T000000.000-up-demo"
    assert last_unfinished(Folder(runs), "mo") is None
    with pytest.raises(PlexError), start(tmp_path / STATE, "up", "demo", events.append):
        raise PlexError("no host")
    assert "was interrupted" in next(e.text for e in events if isinstance(e, Noted))

    again: list[Event] = []
    with start(tmp_path / STATE, "up", "demo", again.append):
        pass
    assert again == []


def test_the_last_run_is_the_last_one_that_began_whatever_the_clock_said(tmp_path: Path) -> None:
    state = tmp_path / STATE
    wrong, right = (datetime(year, 11, 29, tzinfo=UTC) for year in (2037, 2026))
    with start(state, "up", "demo", lambda _: None, now=wrong):
        pass
    with start(state, "up", "demo", lambda _: None, now=right):
        pass

    assert [row.run[:4] for row in list_runs(state).runs] == ["2037", "2026"]
    assert find_run(state).stem.startswith("2026")
    runs = state_folder(state).below("runs")
    (state / "runs" / "20261128T000000.000000-up-demo.jsonl").write_text("of an older plexctl")
    assert find_run(state).stem.startswith("20261129")
    assert last_unfinished(runs, "demo") is None


def test_a_killed_run_with_a_wrong_clock_is_reported_once(tmp_path: Path) -> None:
    """Its journal has the last name for ever."""
    state = tmp_path / STATE
    with start(state, "up", "demo", lambda _: None, now=datetime(2037, 1, 1, tzinfo=UTC)) as run:
        pass
    file = state / "runs" / f"{run.id}.jsonl"
    file.write_text(file.read_text().splitlines()[0])
    seen: list[list[str]] = []
    for _ in range(2):
        events: list[Event] = []
        with start(state, "up", "demo", events.append):
            pass
        seen.append([event.text for event in events if isinstance(event, Noted)])
    assert seen == [[f"the run {run.id} was interrupted; this one continues its work"], []]


def test_the_order_of_runs_has_a_bounded_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "LENGTH", 200)
    state = tmp_path / STATE
    names = []
    for _ in range(20):
        with start(state, "up", "demo", lambda _: None) as run:
            names.append(run.id)
    lines = (state / "runs" / "order").read_text().splitlines()
    assert lines == names[-len(lines) :]
    assert 4 <= len(lines) <= 14
