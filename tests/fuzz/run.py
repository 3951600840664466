"""`bin/test fuzz`: random files for each reader of tests/readers.py, guided by coverage.

atheris (libFuzzer for Python) runs one reader after another. It begins with the files of
tests/fuzz/corpus and with those that earlier runs on this machine have found interesting. What it
finds is in build/fuzz: run `bin/test fuzz READER FILE` again to see the error, repair it, and add
the file to the corpus, which `bin/test unit` reads too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

from tests.readers import READERS, examples

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FOUND = HERE.parents[1] / "build" / "fuzz"

OPTIONS = (
    "-timeout=120",  # seconds for a file, also on a busy machine, until it is an endless loop
    "-rss_limit_mb=1024",
    "-max_len=4096",
    "-print_final_stats=1",
    "-verbosity=0",
)
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_.-]{2,30}")


def folder_of(reader: str) -> str:
    """The folder of a reader in the corpus."""
    return reader.replace("/", "-").lstrip(".")


def corpus(reader: str) -> list[Path]:
    return sorted((CORPUS / folder_of(reader)).iterdir())


def dictionary(reader: str) -> str:
    """The words of the reader's corpus, as libFuzzer reads them: it inserts them into files."""
    contents = [examples()[reader], *(file.read_bytes() for file in corpus(reader))]
    words = {word.decode() for content in contents for word in _WORD.findall(content)}
    return "".join(f'"{word}"\n' for word in sorted(words))


def fuzz(reader: str, seconds: int) -> bool:
    """Fuzz a reader. Whether nothing was found."""
    own = user_cache_path("plexctl") / "fuzz" / folder_of(reader)
    found = FOUND / folder_of(reader)
    for folder in (own, found):
        folder.mkdir(parents=True, exist_ok=True)
    words = own.with_suffix(".dict")
    words.write_text(dictionary(reader) or '"0"\n')  # libFuzzer refuses an empty file
    options = (
        *OPTIONS,
        f"-max_total_time={seconds}",
        f"-artifact_prefix={found}{os.sep}",
        f"-dict={words}",
    )
    return _harness(reader, *options, own, CORPUS / folder_of(reader))


def _harness(reader: str, *arguments: str | Path) -> bool:
    command = (sys.executable, "-m", "tests.fuzz.one", reader, *arguments)
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/test fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader; default: 60")
    parser.add_argument("reader", nargs="?", help="one of tests/readers.py; default: all")
    parser.add_argument("file", nargs="*", type=Path, help="read only these files")
    asked = parser.parse_args()
    if asked.reader not in (None, *READERS):
        parser.error(f"no reader {asked.reader}; there are {', '.join(sorted(READERS))}")
    if asked.file:
        return 0 if _harness(asked.reader, *asked.file) else 1
    bad = []
    for reader in [asked.reader] if asked.reader else sorted(READERS):
        print(f"\n== fuzz {reader} ==", flush=True)
        if not fuzz(reader, asked.seconds):
            bad.append(reader)
    if bad:
        print(f"\nfound something in {', '.join(bad)}: see build/fuzz", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
