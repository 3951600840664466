"""Timelines as text, SVG and HTML, compared with golden files.

To rewrite the golden files: GOLDEN=write pytest tests/unit/render/test_timeline.py
"""

from __future__ import annotations

import itertools
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plexctl.observe.nodes import from_json, with_details
from plexctl.observe.timeline import Ending, StepLine, Timeline, timeline
from plexctl.render.timeline_html import html_text
from plexctl.render.timeline_svg import MOST, svg_text
from plexctl.render.timeline_text import runs_text, timeline_text
from plexctl.results.runs import RunRow, RunsResult
from tests.journals import journal

GOLDEN = Path(__file__).parent / "golden"
RECORDED = Path(__file__).parent.parent / "observe" / "recorded"
RUN = "20261121T154855.542315-up-tline"
BIG = "20261121T100000.000000-up-big"
SVG = "{http://www.w3.org/2000/svg}"


def recorded() -> Timeline:
    line = timeline(RUN, (RECORDED / f"{RUN}.jsonl").read_text().splitlines())
    return with_details(line, from_json((RECORDED / f"{RUN}.nodes.json").read_text()))


def big(workers: int) -> Timeline:
    return timeline(BIG, journal(workers))


def compare(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def test_text() -> None:
    compare("timeline.txt", timeline_text(recorded()) + "\n")


def test_text_of_many_nodes() -> None:
    compare("timeline-64.txt", timeline_text(big(64)) + "\n")


def test_svg() -> None:
    compare("timeline.svg", svg_text(recorded()))


def test_html() -> None:
    compare("timeline.html", html_text(recorded()))


@pytest.mark.parametrize("workers", [2, 64, 128])
def test_text_fits_80_columns(workers: int) -> None:
    long = "the run 20261121T165834.105138-replace-big was interrupted; this one continues its work"
    for line in (big(workers), recorded(), replace(recorded(), notes=(long,))):
        lines = timeline_text(line).splitlines()
        assert max(map(len, lines)) <= 80
        assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize("workers", [2, 64, 128])
def test_every_node_is_drawn_and_labels_do_not_overlap(workers: int) -> None:
    picture = ET.fromstring(svg_text(big(workers)))
    titles = " ".join(title.text or "" for title in picture.iter(f"{SVG}title"))
    places = sorted(
        float(one.attrib["y"]) for one in picture.iter(f"{SVG}text") if one.get("class") == "label"
    )

    assert {f"big{n + 1}" for n in range(workers + 1)} <= set(re.findall(r"big\d+", titles))
    assert len(places) <= MOST + 1
    assert all(after - before >= 11 for before, after in itertools.pairwise(places))


def test_pictures_and_pages_need_nothing_from_elsewhere() -> None:
    svg, page = svg_text(recorded()), html_text(recorded())

    for text in (svg, page):
        assert not re.search(r"\b(src|href|url|@import|script)\b", text)
        assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
        assert "prefers-color-scheme:dark" in text


def test_markup_in_titles_and_errors_is_escaped() -> None:
    lines = [
        '{"event": "StepBegan", "at": 0, "title": "bake <b>&\\"x", "expect": ""}',
        '{"event": "Noted", "at": 1, "text": "<script>"}',
        '{"event": "Failed", "at": 2, "text": "</title><i>{bottom}"}',
    ]
    line = timeline(BIG, lines)

    ET.fromstring(svg_text(line))
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(tag)  # type: ignore[method-assign]
    parser.feed(html_text(line))
    assert not {"b", "i", "script"} & set(seen)
    assert "failed after 2.0 s: </title><i>{bottom}" in timeline_text(line)


def test_a_failed_run_shows_its_error_once_and_fits() -> None:
    error = "timed out after 192 s waiting until all 3 nodes of tline are Ready"
    why = f"{error}: tline2 is not registered"
    step = StepLine("wait until all 3 nodes of tline are Ready", 3.1, 196.5, "failed", why)
    line = replace(recorded(), steps=(step,), ending=Ending.FAILED, error=why)
    lines = timeline_text(line).splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("up of tline: failed after 15.5 s: timed out after 192 s")
    assert "\n".join(lines).count("timed out") == 1


def test_an_empty_run_can_be_shown() -> None:
    line = timeline(BIG, [])

    assert timeline_text(line).startswith("up of big: unfinished")
    ET.fromstring(svg_text(line))
    assert "</html>" in html_text(line)


def test_phases_are_shown_with_what_became_of_them() -> None:
    lines = [
        f'{{"event": "Phased", "at": {at}, "phase": "{phase}", "state": "{state}"}}'
        for at, phase, state in (
            (1, "freeze", "began"),
            (1.5, "freeze", "done"),
            (1.5, "snapshot", "began"),
            (2, "snapshot", "undone"),
            (2, "<b>thaw", "began"),
        )
    ]
    line = timeline(BIG, lines)

    assert "phases: freeze, snapshot (undone), <b>thaw (unfinished)" in timeline_text(line)
    page = html_text(line)
    assert "<td class=w>freeze</td><td class=w>done</td><td>1.00</td><td>0.50</td>" in page
    assert "<td class=w>&lt;b&gt;thaw</td><td class=w>unfinished</td>" in page


def test_runs_are_listed() -> None:
    row = RunRow(RUN, "2026-11-21T15:48:55+00:00", "up", "tline", "done", 15.5, 3)
    push = RunRow("20261121T100000.5-push-x", "", "push", "x", "failed", 0.31, 0)

    assert runs_text(RunsResult((push, row))).splitlines() == [
        "RUN                              VERB  PLEX           TOOK   NODES",
        "20261121T100000.5-push-x         push  x      failed  0.3 s",
        "20261121T154855.542315-up-tline  up    tline  done    16 s   3",
    ]
    assert runs_text(RunsResult(())) == "no recorded run"
