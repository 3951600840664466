"""Names with escape sequences are shown, never sent: in tables, progress, answers and usage."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from plexctl.cli import terminal
from plexctl.cli.main import app
from plexctl.model.events import Noted, Outcome, PartWentOn, StepBegan, StepEnded, StepWentOn
from plexctl.render import json as json_render
from plexctl.render.lines import Lines
from plexctl.render.live import Live
from plexctl.render.progress import progress
from plexctl.render.safe import safe_event, safe_listener
from plexctl.render.tables import table

EVIL = "a\x1b]0;owned\x07\x9b31m\u202eb"
SHOWN = "a\\x1b]0;owned\\x07\\x9b31m\\u202eb"

EVENTS = (
    StepBegan(0, f"step {EVIL}\nmore", f"about {EVIL}"),
    StepWentOn(11, f"step {EVIL}\nmore", f"doing {EVIL}", 0.5),
    PartWentOn(11, f"step {EVIL}\nmore", EVIL, EVIL, Outcome.FAILED),
    StepEnded(12, f"step {EVIL}\nmore", Outcome.CHANGED, EVIL, 1.0),
    Noted(13, EVIL),
)


def test_progress_in_lines_shows_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(verbose=True) as listener:
        for event in EVENTS:
            listener(event)
    shown = capsys.readouterr().err
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert len(shown.splitlines()) == 5
    assert f"note: {SHOWN}" in shown
    assert f"step {SHOWN}\\nmore" in shown


def test_progress_on_a_terminal_shows_escapes() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, height=20, color_system=None)
    live = Live(console=console, verbose=True)
    for event in EVENTS:
        safe_listener(live.show)(event)
    live.close()
    assert "\x1b]0" not in stream.getvalue()
    assert not set(stream.getvalue()) & set("\x07\x9b\u202e")
    assert SHOWN in stream.getvalue()


def test_an_event_keeps_what_is_no_text() -> None:
    assert safe_event(EVENTS[2]) == PartWentOn(
        11, f"step {SHOWN}\\nmore", SHOWN, SHOWN, Outcome.FAILED
    )
    plain = StepEnded(1, "create nodes", Outcome.CHANGED, "2 created", 0.5)
    assert safe_event(plain) == plain


def test_the_listener_is_the_one_of_lines() -> None:
    stream = io.StringIO()
    safe_listener(Lines(stream).show)(Noted(0, EVIL))
    assert stream.getvalue() == f"note: {SHOWN}\n"


def test_a_cell_of_a_table_is_one_line() -> None:
    assert table(("A", "B"), [(EVIL, "x\ny\tz")]).splitlines()[1] == f"{SHOWN}  x\\ny\\tz"


@dataclass(frozen=True)
class _Result:
    name: str
    path: Path


def test_answers_show_escapes_and_json_has_them_as_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = _Result(EVIL, Path(f"/tmp/{EVIL}\udcff"))
    terminal.answer(result, lambda one: f"1\t{one.name}\n2", as_json=False)
    assert capsys.readouterr().out == f"1\t{SHOWN}\n2\n"
    terminal.answer(result, lambda one: one.name, as_json=True)
    shown = capsys.readouterr().out
    assert not {c for c in shown if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0)}
    assert "\u202e" not in shown
    assert json.loads(shown)["name"] == EVIL
    assert json.loads(shown)["path"] == f"/tmp/{EVIL}\udcff"
    assert "ä" in json_render.document_text({"a": "ä"})


@pytest.mark.parametrize(
    "words",
    [
        ["\x1b[31mx"],
        ["status", "a", "\x1b[31mx"],
        ["status", "--\x1b[31mx"],
        ["logs", "demo1", "--lines", "\x1b[31mx"],
        ["flux", "\x1b[31mx"],
    ],
)
def test_words_of_the_command_line_are_shown_in_its_errors(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(words, prog_name="plexctl")
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\\x1b[31mx" in shown
