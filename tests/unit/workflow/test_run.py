"""Runs: their lock, their journal, and the note of the next run about a killed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.events import Event, Noted, Outcome, StepEnded
from plexctl.model.folder import Folder
from plexctl.model.resources import Key, Kind
from plexctl.model.state import claim
from plexctl.workflow.core.run import last_unfinished, start

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
