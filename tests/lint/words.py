"""Compare names and prose with the word list in words.yaml: `bin/test words`.

`python tests/lint/words.py [FILE…]` prints each hit as FILE:LINE with the term to use instead and
ends with 1; without files it reads those of the project. A line that has `words: allow` is skipped,
and so are the lines from `words: off` to `words: on`.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("words.yaml")

PLACES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"),
    *("plexctl", "tests", "docs", "bin", "roles", "apps", "clusters", "types", "terraform"),
    *(".github", ".ci"),
)
SUFFIXES = {".py", ".md", ".sh", ".yml", ".yaml", ".tf", ".j2", ".service", ".conf", ""}
OTHERS = {"corpus", "golden", "recorded", "schemas", "__pycache__"}
"""Folders of what programs or other projects have written."""

ALLOW, OFF, ON = "words: allow", "words: off", "words: on"
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A word or phrase that is on the list. `line` is 1-based."""

    file: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: "{self.found}": use {self.instead}'


@dataclass(frozen=True, slots=True)
class Text:
    """Prose as it stands in a file, from `line` on."""

    line: int
    text: str


class WordList:
    """Terms that are not used, and the terms to use instead."""

    def __init__(
        self, names: dict[str, str], classes: dict[str, str], prose: dict[str, str]
    ) -> None:
        self.names = names
        self.classes = classes
        self.prose = prose

    @classmethod
    def load(cls, file: Path = LIST) -> WordList:
        document = yaml.safe_load(file.read_text())
        return cls(document["names"], document["classes"], document["prose"])

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        # Longer phrases first: of two hits at one place the first one counts.
        ordered = sorted(self.prose.items(), key=lambda item: -len(item[0]))
        return [
            (re.compile(rf"\b(?:{pattern.replace(' ', GAP)})\b", re.IGNORECASE), instead)
            for pattern, instead in ordered
        ]

    def in_name(self, name: str) -> Iterator[tuple[str, str]]:
        """Each part of a name that is on the list, and what to use instead."""
        parts = PARTS.findall(name)
        if parts and name[0].isupper() and parts[0] in self.classes:
            yield name, self.classes[parts[0]]
        for part in parts:
            if instead := self.names.get(part.lower()):
                yield name, instead

    def in_text(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Each phrase that is on the list: where it begins, the phrase, and what to use instead."""
        taken: list[range] = []
        for pattern, instead in self._patterns:
            for match in pattern.finditer(text):
                if any(match.start() in one for one in taken):
                    continue
                taken.append(range(*match.span()))
                yield match.start(), re.sub(GAP, " ", match.group()), instead


GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:#[ \t]*)?)"
"""Between two words: a space, or a line break with the sign of a comment."""


def check(file: str, source: str, words: WordList) -> list[Hit]:
    """Hits of the list in one file, in the order of its lines."""
    hits: set[Hit] = set()
    name = Path(file)
    if name.suffix == ".py" or source.startswith("#!/usr/bin/env python"):
        texts = list(_python_texts(source))
        for line, defined in (*_names(source), (1, name.stem)):
            hits.update(Hit(file, line, *found) for found in words.in_name(defined))
    else:
        texts = [Text(1, source)]
    for text in texts:
        for at, found, instead in words.in_text(text.text):
            hits.add(Hit(file, text.line + text.text.count("\n", 0, at), found, instead))
    skipped = _allowed(source)
    return sorted(hit for hit in hits if hit.line not in skipped)


def _allowed(source: str) -> set[int]:
    """The lines that are not checked."""
    allowed, off = set(), False
    for number, line in enumerate(source.splitlines(), 1):
        off = (off or OFF in line) and ON not in line
        if off or ALLOW in line:
            allowed.add(number)
    return allowed


def _names(source: str) -> Iterator[tuple[int, str]]:
    """Names that a module defines, each with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str()):
                yield node.lineno, str(node.asname)


def _python_texts(source: str) -> Iterator[Text]:
    """Comments, of which those on lines that follow each other are one, and strings."""
    comment: Text | None = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if comment and line == comment.line + comment.text.count("\n") + 1:
                comment = Text(comment.line, f"{comment.text}\n{token.string}")
            else:
                if comment:
                    yield comment
                comment = Text(line, token.string)
        elif token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield Text(line, token.string)
    if comment:
        yield comment


def files(root: Path = ROOT) -> Iterator[Path]:
    """The files that are checked."""
    for place in PLACES:
        path = root / place
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in found:
            inside = set(one.relative_to(root).parts)
            if one.is_file() and one.suffix in SUFFIXES and not inside & OTHERS and one != LIST:
                yield one


def main(arguments: Iterable[str]) -> int:
    words = WordList.load()
    chosen = [Path(argument).resolve() for argument in arguments] or list(files())
    hits = [
        hit
        for path in chosen
        for hit in check(str(path.relative_to(ROOT)), path.read_text(), words)
    ]
    for hit in hits:
        print(hit)
    if hits:
        print(f"{len(hits)} hits; tests/lint/words.yaml has the list", file=sys.stderr)
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
