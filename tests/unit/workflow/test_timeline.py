"""Recorded runs: how they are found, and which nodes have details of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.errors import UsageError
from plexctl.model.observed import HostState, ObservedInstance
from plexctl.model.state import claim
from plexctl.observe.nodes import NodeDetails, to_json
from plexctl.observe.timeline import timeline
from plexctl.workflow.core.run import KEPT, inside_file, start
from plexctl.workflow.plex.timeline import (
    find_run,
    has_unread_details,
    list_runs,
    read_run,
    running_nodes,
)
from tests.fake_incus import FakeIncus
from tests.journals import journal

UP, SCALE, OTHER = (
    "20261121T100000.000000-up-big",
    "20261121T110000.000000-scale-big",
    "20261121T120000.000000-up-other",
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir(mode=0o700)
    claim(tmp_path)
    for run in (UP, SCALE, OTHER):
        (tmp_path / "runs" / f"{run}.jsonl").write_text("\n".join(journal(2)))
    (tmp_path / "runs" / "notes.jsonl").write_text("what a user has put there")
    return tmp_path


def test_without_a_name_the_last_run_of_the_current_plex_is_found(state: Path) -> None:
    assert find_run(state).stem == OTHER
    assert find_run(state, plex="big").stem == SCALE
    (state / "current").write_text("big\n")
    assert find_run(state).stem == SCALE


def test_a_run_is_found_by_a_unique_part_of_its_name(state: Path) -> None:
    assert find_run(state, "scale").stem == SCALE
    assert find_run(state, UP).stem == UP
    assert find_run(state, "-up-", "big").stem == UP
    with pytest.raises(UsageError, match="2 runs have 'up'") as many:
        find_run(state, "up")
    assert many.value.details == (UP, OTHER)
    with pytest.raises(UsageError, match="no runs have 'bake'"):
        find_run(state, "bake")
    with pytest.raises(UsageError, match="no run on none is recorded"):
        find_run(state, plex="none")


def test_runs_are_listed_with_their_ending(state: Path) -> None:
    (state / "runs" / f"{OTHER}.jsonl").write_text('{"event": "StepBe')
    rows = list_runs(state).runs

    assert [(row.run, row.ending, row.nodes) for row in rows] == [
        (UP, "done", 3),
        (SCALE, "done", 3),
        (OTHER, "unfinished", 0),
    ]
    assert [row.run for row in list_runs(state, "big").runs] == [UP, SCALE]


def test_details_of_nodes_are_read_with_the_journal_and_damaged_ones_are_ignored(
    state: Path,
) -> None:
    run = find_run(state, UP)
    assert not read_run(run).details
    inside_file(run).write_text(to_json({"big2": NodeDetails({"booted": 1.7})}))
    assert read_run(run).nodes[1].at("booted") == 1.7
    for broken in ("{", "[]", '{"big2": {}}', '{"big2": 3}'):
        inside_file(run).write_text(broken)
        assert not read_run(run).details


def test_details_are_read_once_and_not_while_the_run_may_be_in_progress(state: Path) -> None:
    run = find_run(state, UP)
    assert has_unread_details(run, read_run(run))

    run.write_text("\n".join(journal(2)[:-1]))  # without its end
    assert not has_unread_details(run, read_run(run))

    run.write_text("\n".join([*journal(2)[:-1], '{"event": "Failed", "at": 9, "text": "late"}']))
    assert has_unread_details(run, read_run(run))
    inside_file(run).write_text("{}")
    assert not has_unread_details(run, read_run(run))


def test_a_run_that_started_no_node_has_no_details(state: Path) -> None:
    run = find_run(state, UP)
    run.write_text('{"event": "Done", "at": 0.3}')

    assert not has_unread_details(run, read_run(run))


def test_details_are_read_from_running_nodes_that_the_run_created_or_started() -> None:
    def seen(name: str, run: str, status: str = "Running") -> ObservedInstance:
        return ObservedInstance(name, status, {"run": run}, True, "", "")

    found = (
        seen("big1", UP),
        seen("big2", "20270101T000000.0-replace-big"),
        seen("big3", UP, "Stopped"),
        seen("foreign", UP),
    )
    state = HostState("local", {one.name: one for one in found}, {}, {}, ())
    host = FakeIncus()

    assert running_nodes(timeline(UP, journal(2)), {"local": host}, {"local": state}) == {
        "big1": host
    }
    started = timeline(UP, journal(2, verb="start"))
    assert set(running_nodes(started, {"local": host}, {"local": state})) == {"big1", "big2"}


def test_a_journal_starts_with_the_time_and_details_are_deleted_with_old_journals(
    tmp_path: Path,
) -> None:
    claim(tmp_path)
    with start(tmp_path, "up", "demo", lambda _: None) as run:
        first = json.loads((tmp_path / "runs" / f"{run.id}.jsonl").read_text().splitlines()[0])
    assert first["event"] == "Began"
    assert timeline(run.id, [json.dumps(first)]).began == first["time"]

    old = tmp_path / "runs" / "20200101T000000.000000-up-demo.jsonl"
    for n in range(KEPT):
        old.with_name(f"20200101T0000{n:02}.000000-up-demo.jsonl").write_text("")
    inside_file(old).write_text("{}")
    with start(tmp_path, "up", "demo", lambda _: None):
        pass
    assert not old.exists()
    assert not inside_file(old).exists()
