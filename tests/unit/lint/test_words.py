"""The word list finds names and phrases, says where they are, and has no false hits."""

# words: off, as the examples are hits

from __future__ import annotations

import re

import pytest

from tests.lint.words import OFF, ON, WordList, check, files

WORDS = WordList(
    names={"told": "report", "silence": "unreachable"},
    classes={"Seen": "Observed"},
    prose={"is told": "is reported", "anew": "again", "leav(e|es|ing) .{0,24}alone": "keep"},
)


def hits(file: str, source: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.found) for hit in check(file, source, WORDS)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("host_silence", True),
        ("HostSilence", True),
        ("SILENCE_AFTER", True),
        ("silenced", False),
        ("untold", False),
        ("SeenGuest", True),
        ("has_seen", False),
        ("UnseenGuest", False),
    ],
)
def test_a_part_of_a_name_is_found_and_a_part_of_a_word_is_not(name: str, found: bool) -> None:
    assert bool(list(WORDS.in_name(name))) is found


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("\ndef told() -> None: ...", 2),
        ("def f(told: int) -> None: ...", 1),
        ("class Told: ...", 1),
        ("a = 1\ntold = a", 2),
        ("for told in (): ...", 1),
        ("self.told = 1", 1),
        ("import os as told", 1),
    ],
)
def test_every_kind_of_definition_is_checked(source: str, line: int) -> None:
    assert [at for at, _ in hits("a.py", source)] == [line]


def test_names_of_other_projects_are_no_hits() -> None:
    assert hits("a.py", "import told\ntold.silence(told.told)") == []


def test_the_name_of_a_module_is_checked() -> None:
    assert hits("a/silence.py", "") == [(1, "silence")]


def test_prose_of_python_is_in_comments_and_strings_and_nowhere_else() -> None:
    source = '''\
"""A module that is told."""
anew = 1  # made anew
print(f"{anew} anew")
'''
    assert hits("a.py", source) == [(1, "is told"), (2, "anew"), (3, "anew")]


def test_a_phrase_may_go_over_a_line_break() -> None:
    assert hits("a.md", "One\nthing is\n  told. No this told.") == [(2, "is told")]
    assert hits("a.py", "x = 1\n# It is\n# told.\n") == [(2, "is told")]
    assert hits("a.sh", "# It is\n# told.\n") == [(1, "is told")]


def test_a_phrase_ends_with_its_paragraph() -> None:
    assert hits("a.md", "It is\n\ntold") == []


def test_of_two_phrases_at_one_place_the_longer_one_counts() -> None:
    assert hits("a.md", "leaving it alone") == [(1, "leaving it alone")]


def test_a_line_may_allow_its_words() -> None:
    assert hits("a.py", "told = 1  # words: allow, as upstream calls it") == []
    assert hits("a.md", f"anew\n<!-- {OFF} -->\nanew\n<!-- {ON} -->\nanew") == [
        (1, "anew"),
        (5, "anew"),
    ]


def test_a_hit_says_where_it_is_and_what_to_use() -> None:
    assert [str(hit) for hit in check("a.md", "x\nanew", WORDS)] == ['a.md:2: "anew": use again']


def test_the_list_of_the_project_is_whole() -> None:
    words = WordList.load()
    assert all(words.names.values()) and all(words.classes.values()) and all(words.prose.values())
    for pattern in words.prose:
        re.compile(pattern)
    assert [found for _, found, _ in words.in_text("It made the node anew.")] == ["anew"]
    assert {file.name for file in files()} >= {"README.md", "words.py", "test"}
