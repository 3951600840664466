"""The commands of the two sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.lab import PLEX, Lab
from tests.bench.stats import FLOOR


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    file = tmp_path / "lab" / "clusters" / PLEX / "plex.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("kubernetes: '1.36'\nworkers: 2\n# workers: of no plex\n")
    return Lab(tmp_path / "lab", {}, image="kube-1")


def test_the_plex_has_as_many_workers_as_the_story(lab: Lab) -> None:
    side = lab.plexctl(64)

    content = (lab.root / "clusters" / PLEX / "plex.yaml").read_text()
    assert content == "kubernetes: '1.36'\nworkers: 64\n# workers: of no plex\n"
    assert len(side.cluster.nodes) == 65
    assert side.replace_worker[-4:] == ("replace", f"{PLEX}65", "-y", "-q")
    assert side.scale(18)[-6:] == ("scale", PLEX, "--workers", "18", "-y", "-q")


def test_the_plex_has_as_many_masters_as_the_story(lab: Lab) -> None:
    several = lab.plexctl(2, masters=3)

    file = lab.root / "clusters" / PLEX / "plex.yaml"
    assert "\nmasters: 3\nworkers: 2\n" in file.read_text()
    assert len(several.cluster.nodes) == 5
    assert several.cluster.last == f"{PLEX}5"

    lab.plexctl(2)
    assert "masters" not in file.read_text()


def test_the_floor_has_as_many(lab: Lab) -> None:
    side = lab.floor(64)

    assert side.up[1:5] == ("up", FLOOR, "kube-1", "64")
    assert side.scale(18)[1:] == ("scale", FLOOR, "kube-1", "18")
    assert side.cluster.last == f"{FLOOR}65"
    assert side.program == ()


def test_many_nodes_are_asked_for_less_often(lab: Lab) -> None:
    few, many = (lab.floor(workers).cluster for workers in (2, 64))

    assert few.look < many.look
    assert few.deadline < many.deadline
