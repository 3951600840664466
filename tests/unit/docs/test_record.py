"""The recorder runs the commands of a page in order, and changes only their blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import record
from tests.docs.record import PageError, pages, steps

PAGE = """\
# A page
<!-- run: mkdir lab && cd lab && echo 1 >number -->
Some text.
<!-- recorded: cat number -->
```console
$ something old
0
```
<!-- recorded(exit 3, first 1, last 1): printf 'a\\nb\\nc\\n' && false || exit 3 -->

```console
```
The end.
"""


@pytest.fixture(autouse=True)
def plexctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plexctl that only writes down how it was called."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "plexctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$PWD: $*" >>{calls}\n')
    program.chmod(0o755)
    monkeypatch.setattr(record, "ROOT", tmp_path)
    return calls


def test_blocks_become_what_the_commands_print_and_all_else_stays() -> None:
    assert record.record(Path("page.md"), PAGE) == PAGE.replace(
        "$ something old\n0\n", "$ cat number\n1\n"
    ).replace(
        "```console\n```",
        "```console\n$ printf 'a\\nb\\nc\\n' && false || exit 3\na\n...\nc\n```",
    )


def test_a_page_that_was_recorded_is_recorded_again_with_the_same_result() -> None:
    once = record.record(Path("page.md"), PAGE)
    assert record.record(Path("page.md"), once) == once


def test_a_command_that_ends_with_another_code_is_an_error_with_its_output() -> None:
    with pytest.raises(PageError, match="ended with 1 instead of 0:\nwhy"):
        record.record(Path("page.md"), "<!-- run: echo why >&2; false -->\n")


def test_a_page_with_an_error_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- recorded: false -->\n```console\nold\n```\n")
    before = page.read_text()
    assert record.main([str(page)]) == 1
    assert page.read_text() == before


def test_objects_of_a_session_are_deleted_even_after_an_error(plexctl: Path) -> None:
    page = (
        "<!-- run: mkdir -p clusters/demo && touch clusters/demo/plex.yaml -->\n"
        "<!-- run: printf 'hosts: {}\\nregistry: {}\\n' >clusters/hosts.yaml && false -->\n"
    )
    with pytest.raises(PageError):
        record.record(Path("page.md"), page)
    calls = [line.partition(": ")[2] for line in plexctl.read_text().splitlines()]
    assert calls == ["destroy demo -y", "registry destroy -y"]


def test_steps_that_go_on_are_left_out_and_the_end_may_be_cut() -> None:
    lines = ["  a b …", "  a b: 1 of 2", "✓ a b (0.1 s)", "  detail: x", "end", "", "c", "d"]
    command = "printf '%s\\n' " + " ".join(f"'{line}'" for line in lines)
    page = f"<!-- recorded(cut 2): {command} -->\n```console\n```\n"
    shown = record.record(Path("page.md"), page).partition(f"$ {command}\n")[2]
    assert shown == "✓ a b (0.1 s)\n  detail: x\nend\n```\n"


def test_paths_of_the_session_are_not_shown() -> None:
    page = '<!-- recorded: echo "$HOME/x" && touch y && readlink -f y -->\n```console\n```\n'
    assert "~/x\ny\n```" in record.record(Path("page.md"), page)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- recorded: true -->\nno block\n",
        "<!-- recorded true -->\n",
        "<!-- recorded(some 3): true -->\n```console\n```\n",
    ],
)
def test_a_wrong_directive_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(PageError, match="line 1"):
        steps(text)


def test_the_pages_of_the_project_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "ROOT", Path(record.__file__).parents[2])
    assert {page.name for page in pages()} >= {"demo.md", "first-lab.md", "first-app.md"}
    for page in pages():
        for step in steps(page.read_text()):
            assert step.block is None or page.read_text().splitlines()[step.block.start].startswith(
                f"$ {step.command}"
            )
