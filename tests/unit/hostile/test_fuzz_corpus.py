"""The corpus of tests/fuzz: what it has found stays repaired."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.run import CORPUS, corpus, dictionary, folder_of
from tests.readers import READERS, examples, read_or_refused, write_lab

SEALED = {"clusters/seed.age", "age.key"}
"""Nobody has the key of their examples."""

FOUND = [(reader, file.name) for reader in sorted(READERS) for file in corpus(reader)]


def test_each_reader_has_an_example_and_a_corpus() -> None:
    assert set(READERS) == set(examples())
    assert {folder.name for folder in CORPUS.iterdir()} == set(map(folder_of, READERS))
    for reader in READERS:
        contents = [file.read_bytes() for file in corpus(reader)]
        assert len(contents) == len(set(contents)), f"{reader} has a file twice"
        assert max(map(len, contents)) <= 4096  # libFuzzer cuts off the rest


@pytest.mark.parametrize("reader", sorted(READERS.keys() - SEALED))
def test_an_example_is_read(reader: str, tmp_path: Path) -> None:
    _write(tmp_path, reader, examples()[reader])
    READERS[reader](tmp_path)


@pytest.mark.parametrize(("reader", "name"), FOUND)
def test_a_file_of_the_corpus_is_read_or_refused_in_a_second(
    reader: str, name: str, tmp_path: Path
) -> None:
    content = (CORPUS / folder_of(reader) / name).read_bytes()
    for _ in range(2):  # the first time may be that of an import
        _write(tmp_path, reader, content)
        took = read_or_refused(tmp_path, reader)
    assert took < 1


def test_words_of_the_corpus_are_inserted_by_the_fuzzer() -> None:
    assert '"certificate"\n' in dictionary("clusters/hosts.yaml")


def _write(root: Path, reader: str, content: bytes) -> None:
    write_lab(root)
    (root / reader).parent.mkdir(parents=True, exist_ok=True)
    (root / reader).write_bytes(content)
