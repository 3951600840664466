"""The verb `timeline`: which run is shown, as what, and what if its nodes cannot be asked."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from plexctl.model.state import claim
from tests.journals import journal

from .conftest import Plexctl

UP, DESTROY = "20261121T100000.000000-up-alpha", "20261121T110000.000000-destroy-beta"


@pytest.fixture
def runs(lab: Path) -> Path:
    folder = lab / ".plexctl" / "runs"
    folder.mkdir(parents=True, mode=0o700)
    claim(folder.parent)
    (folder / f"{UP}.jsonl").write_text("\n".join(journal(2)))
    (folder / f"{DESTROY}.jsonl").write_text('{"event": "Done", "at": 0.8}')
    return folder


def test_the_last_run_or_one_by_a_part_of_its_name(plexctl: Plexctl, runs: Path) -> None:
    assert plexctl("timeline").out.startswith("destroy of beta: done after 0.8 s")
    assert plexctl("timeline", "100000").out.startswith("up of alpha: done after")
    assert plexctl("timeline", "--plex", "alpha").out.startswith("up of alpha: done after")
    missing = plexctl("timeline", "bake")
    assert (missing.code, missing.out) == (2, "")
    assert "no runs have 'bake' in their name" in missing.err


def test_unreachable_nodes_are_a_note_or_with_inside_an_error(plexctl: Plexctl, runs: Path) -> None:
    shown = plexctl("timeline", "up")
    assert (shown.code, shown.err) == (0, "")
    assert "big3" in shown.out
    assert "note: " in shown.out

    assert "note: " not in plexctl("timeline", "up", "--recorded").out

    must = plexctl("timeline", "up", "--inside")
    assert (must.code, must.out) == (1, "")


def test_pictures_pages_and_json(plexctl: Plexctl, runs: Path, tmp_path: Path) -> None:
    svg, html = tmp_path / "up.svg", tmp_path / "up.html"
    written = plexctl("timeline", "up", "--recorded", "--svg", str(svg), "--html", str(html))
    assert (written.code, written.out) == (0, "")
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert "<table>" in html.read_text()

    answer = json.loads(plexctl("timeline", "up", "--recorded", "--json").out)
    assert (answer["run"], answer["plex"], answer["ending"]) == (UP, "alpha", "done")
    assert [node["name"] for node in answer["nodes"]] == ["big1", "big2", "big3"]

    nowhere = plexctl("timeline", "up", "--recorded", "--svg", str(tmp_path / "no" / "up.svg"))
    assert nowhere.code == 1
    assert "cannot be written" in nowhere.err


def test_runs_are_listed(plexctl: Plexctl, runs: Path) -> None:
    listed = plexctl("timeline", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["RUN", UP, DESTROY]
    answer = json.loads(plexctl("timeline", "--list", "--plex", "beta", "--json").out)
    assert [row["run"] for row in answer["runs"]] == [DESTROY]
    assert plexctl("timeline", "up", "--list").code == 2
