"""Errors on standard error and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.errors import ConfigError, PlexError, Problem
from plexctl.render.errors import colors, error_json, error_text


def test_summary_details_and_hint_each_have_their_line() -> None:
    error = PlexError("no", details=("first\nsecond", "third"), hint="do this")
    assert error_text(error).splitlines() == [
        "error: no",
        "  first",
        "  second",
        "  third",
        "hint: do this",
    ]


def test_problems_have_the_format_of_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors and terminals turn `file:line:` into a link, if the path is right from here."""
    monkeypatch.chdir(tmp_path / "..")
    plex = tmp_path / "clusters" / "demo" / "plex.yaml"
    problems = [
        Problem(plex, 7, "workers", "must be a whole number", "did you mean 2?"),
        Problem(Path("/elsewhere/types/kube.yaml"), 1, "", "is empty"),
    ]
    assert error_text(ConfigError(problems)).splitlines() == [
        "error: the configuration has 2 problems",
        f"{tmp_path.name}/clusters/demo/plex.yaml:7: workers: must be a whole number"
        " (did you mean 2?)",
        "/elsewhere/types/kube.yaml:1: is empty",
    ]


def test_json_has_the_problems_as_fields() -> None:
    error = ConfigError([Problem(Path("/lab/plex.yaml"), 7, "workers", "bad", None)])
    assert json.loads(error_json(error)) == {
        "version": 1,
        "error": {
            "summary": "the configuration has 1 problem",
            "details": [],
            "hint": None,
            "problems": [
                {
                    "file": "/lab/plex.yaml",
                    "line": 7,
                    "field": "workers",
                    "message": "bad",
                    "hint": None,
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colors(terminal=True) is wanted
    assert not colors(terminal=False)
    assert ("\x1b[" in error_text(PlexError("no"), color=colors(True))) is wanted
