"""Files that users name in the small commands: one message with file and line, and code 2."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from plexctl.scripts import entry, genders, mkgenders, tfdeps, tfhosts
from plexctl.scripts.genders_file import text


def test_a_byte_order_mark_is_no_part_of_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "genders"
    file.write_bytes(b"\xef\xbb\xbfdemo[1-2] kube\n")
    assert entry.outcome(genders.main, ["-f", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["kube"] == {"hosts": ["demo1", "demo2"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a kube\nb[1 kube\n", "genders:2: "),
        (b"a kube\n\xff kube\n", "genders:2: the file is not UTF-8 text"),
        ("n[\u0661-\u0663] kube\n".encode(), "genders:1: "),
    ],
)
def test_a_wrong_genders_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, expected: str
) -> None:
    file = tmp_path / "genders"
    file.write_bytes(content)
    assert entry.outcome(genders.main, ["-f", str(file)]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nothing", "", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert entry.outcome(genders.main, ["-f", f"{tmp_path}/{name}"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_names_of_nodes_are_short_as_nodeattr_requires_it() -> None:
    assert text({"a.example.org": {"kube": None}, "b": {}}) == "a kube\nb\n"


@pytest.mark.parametrize(
    "inventory",
    [
        {"kube": {"hosts": ["a.x.org", "a.y.org"]}},
        {"kube": {"hosts": ["10.0.0.1"]}},
        {"kube": {"hosts": [".x"]}},
        {"kube": {"hosts": ["a\x1b[31m"]}},
        {"kube": {"hosts": [1]}},
        [1],
    ],
)
def test_an_inventory_that_no_genders_file_can_express_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], inventory: object
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(inventory)))
    assert entry.outcome(mkgenders.main, ["-i", "-"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "bug" not in shown.err
    assert "\x1b" not in shown.err


@pytest.mark.parametrize("main", [mkgenders.main, tfhosts.main])
@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": ' * 200 + "1" + "}" * 200, "9" * 5000])
def test_json_beyond_the_bounds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: entry.Main,
    content: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(content))
    words = ["-i", "-"] if main is mkgenders.main else []
    assert entry.outcome(main, words) == 2
    assert "is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"\xff", b'{"resources": 1}', b"{", b"[" * 100_000])
def test_a_wrong_state_of_opentofu_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file = tmp_path / "terraform.tfstate"
    file.write_bytes(content)
    assert entry.outcome(tfdeps.main, [str(file)]) == 2
    shown = capsys.readouterr().err
    assert "terraform.tfstate" in shown
    assert "bug" not in shown


@pytest.mark.parametrize(
    ("main", "words"),
    [(mkgenders.main, ["-i", "-"]), (tfdeps.main, ["-"]), (tfhosts.main, [])],
)
def test_standard_input_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: entry.Main,
    words: list[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8"))
    assert entry.outcome(main, words) == 2
    assert "standard input is not UTF-8 text" in capsys.readouterr().err
