"""Timelines of journals: a recorded one, broken ones, and ones of many nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.observe.lanes import Bar, Phase, bars, label, lanes, ticks, typical
from plexctl.observe.timeline import Ending, Instant, NodeLine, PhaseLine, median, parts, timeline
from tests.journals import journal

RUN = "20261121T154855.542315-up-tline"
RECORDED = Path(__file__).parent / "recorded" / f"{RUN}.jsonl"


def recorded() -> list[str]:
    return RECORDED.read_text().splitlines()


def node(**marks: float) -> NodeLine:
    return NodeLine("a1", "", "create", tuple(Instant(what, at) for what, at in marks.items()))


def test_a_recorded_run_has_steps_nodes_and_milestones() -> None:
    line = timeline(RUN, recorded())

    assert (line.verb, line.plex, line.ending, line.unreadable_lines) == (
        "up",
        "tline",
        Ending.DONE,
        0,
    )
    assert (line.began, line.load_seconds) == ("2026-11-21T15:48:55.542666+00:00", 0.64)
    assert [(s.title, s.outcome) for s in line.steps] == [
        ("instances", "changed"),
        ("the API of tline answers", "unchanged"),
        ("all 3 nodes of tline are Ready", "unchanged"),
        ("DNS of tline answers", "unchanged"),
    ]
    assert [n.name for n in line.touched] == ["tline1", "tline2", "tline3"]
    assert [one.name for one in line.nodes[1].instants] == [
        "creating",
        "created",
        "pushed",
        "starting",
        "started",
        "registered",
        "ready",
    ]
    assert [one.name for one in line.milestones] == ["api", "ready", "dns"]
    assert line.milestones[1].at == max(n.at("ready") or 0 for n in line.nodes)


def test_a_killed_run_has_the_events_before_its_end() -> None:
    lines = [*recorded()[:12], '{"event": "Marked", "at": 1.2, "no', "null", "[1]"]
    line = timeline(RUN, lines)

    assert (line.ending, line.unreadable_lines) == (Ending.OPEN, 3)
    assert line.steps[0].title == "instances"
    assert line.steps[0].ended is None
    assert line.seconds == timeline(RUN, recorded()[:12]).seconds


def test_a_failed_run_has_its_error() -> None:
    lines = [*recorded()[:12], '{"event": "Failed", "at": 9.5, "text": "no room"}']
    line = timeline(RUN, lines)

    assert (line.ending, line.error, line.seconds) == (Ending.FAILED, "no room", 9.5)


def phased(*states: tuple[str, str]) -> list[str]:
    return [
        f'{{"event": "Phased", "at": {at}.5, "phase": "{phase}", "state": "{state}"}}'
        for at, (phase, state) in enumerate(states)
    ]


def test_phases_have_their_last_state() -> None:
    lines = phased(("freeze", "began"), ("freeze", "done"), ("snapshot", "began"))
    killed = timeline(RUN, lines).phases
    assert killed == (
        PhaseLine("freeze", "done", 0.5, 1.5),
        PhaseLine("snapshot", "began", 2.5, None),
    )
    failed = timeline(RUN, [*lines, *phased(("snapshot", "failed"), ("snapshot", "undone"))])
    assert [(one.name, one.state) for one in failed.phases] == [
        ("freeze", "done"),
        ("snapshot", "undone"),
    ]


def test_a_phase_of_an_earlier_run_may_be_undone() -> None:
    line = timeline(RUN, [*phased(("snapshot", "undone")), *phased(("x", "strange"))])
    assert line.phases == (PhaseLine("snapshot", "undone", 0.5, 0.5),)
    assert line.unreadable_lines == 1


def test_an_empty_journal_is_a_run_of_no_time() -> None:
    line = timeline(RUN, [])

    assert (line.seconds, line.steps, line.nodes, line.milestones) == (0.0, (), (), ())
    assert line.began == "2026-11-21T15:48:55.542315+00:00"


def test_a_plex_name_may_have_dashes() -> None:
    assert parts("20260101T000000.5-replace-my-lab")[1:] == ("replace", "my-lab")
    with pytest.raises(ValueError, match="values to unpack"):
        parts("notes")


def test_unchanged_nodes_are_not_touched_and_all_ready_needs_all() -> None:
    lines = [
        '{"event": "Intended", "at": 0, "changes": {"instance/h/a3": "create: missing"}}',
        '{"event": "Marked", "at": 1, "node": "a1", "what": "ready"}',
        '{"event": "Marked", "at": 2, "node": "a10", "what": "registered"}',
        '{"event": "Marked", "at": 2, "node": "a3", "what": "created"}',
    ]
    line = timeline(RUN, lines)

    assert [n.name for n in line.nodes] == ["a1", "a3", "a10"]
    assert [n.name for n in line.touched] == ["a3"]
    assert line.milestones == ()


def test_the_api_of_an_unchanged_master_is_no_milestone() -> None:
    lines = [
        '{"event": "Intended", "at": 0, "changes": {"instance/h/a3": "create: missing"}}',
        '{"event": "Marked", "at": 1, "node": "a1", "what": "api"}',
        '{"event": "Marked", "at": 2, "node": "a1", "what": "dns"}',
    ]

    assert [one.name for one in timeline(RUN, lines).milestones] == ["dns"]
    made = [lines[0].replace("a3", "a1"), *lines[1:]]
    assert [one.name for one in timeline(RUN, made).milestones] == ["api", "dns"]


def test_bars_are_phases_that_follow_each_other() -> None:
    node_line = node(
        creating=1, created=2, pushed=2.5, starting=4, started=5, registered=8, ready=9
    )

    assert bars(node_line) == (
        Bar(Phase.CREATING, 1, 2.5),
        Bar(Phase.WAITING, 2.5, 4),
        Bar(Phase.BOOTING, 4, 5),
        Bar(Phase.JOINING, 5, 8),
        Bar(Phase.SETTLING, 8, 9),
    )


def test_bars_of_a_replaced_node_of_an_old_journal_and_of_one_out_of_order() -> None:
    replaced = bars(node(leaving=1, gone=2, creating=5, created=6))
    assert replaced == (Bar(Phase.DELETING, 1, 2), Bar(Phase.CREATING, 5, 6))
    assert bars(node(created=1, pushed=2, started=3)) == (
        Bar(Phase.CREATING, 1, 2),
        Bar(Phase.BOOTING, 2, 3),
    )
    # A start may be node_line of after the node has booted.
    late = bars(node(starting=1, booted=1.5, started=2, kubelet=2.2))
    assert late == (Bar(Phase.BOOTING, 1, 2.2),)


def test_the_last_phase_lasts_until_the_end_of_an_unfinished_run() -> None:
    assert bars(node(starting=1, started=2), until=60)[-1] == Bar(Phase.BOOTING, 1, 60)
    assert bars(node(started=1, kubelet=2), until=60)[-1] == Bar(Phase.JOINING, 2, 60)
    assert bars(node(registered=1, ready=2), until=60) == (Bar(Phase.SETTLING, 1, 2),)


@pytest.mark.parametrize("workers", [39, 40, 64, 128])
def test_many_nodes_share_lanes_and_none_is_lost(workers: int) -> None:
    line = timeline("20261121T100000.0-up-big", journal(workers))
    found = lanes(line, 40)

    assert len(found) <= 40
    assert [n.name for lane in found for n in lane.nodes] == [n.name for n in line.nodes]
    assert found[0].label == "big1"


def test_a_lane_of_several_nodes_shows_medians() -> None:
    line = timeline("20261121T100000.0-up-big", journal(64))
    lane = next(lane for lane in lanes(line, 20) if len(lane.nodes) > 2)
    times = [n.at("ready") or 0.0 for n in lane.nodes]

    assert typical(lane).at("ready") == median(times)
    assert lane.label == label(lane.nodes)
    assert label((node(), NodeLine("b7", "", "", ()))) == "a1 … b7"
    in_name = tuple(NodeLine(name, "", "", ()) for name in ("k8s2", "k8s3", "k8s10"))
    assert label(in_name) == "k8s2-10"


@pytest.mark.parametrize("end", [0.04, 0.9, 7.86, 60, 1234])
def test_ticks_are_round_and_few(end: float) -> None:
    found = ticks(end, 8)

    assert found[0] == 0
    assert len(found) <= 8
    assert found[-1] <= end
