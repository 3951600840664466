"""Fuzz one reader: `python -m tests.fuzz.one READER [OPTION OF LIBFUZZER…]`, called by run.py.

A finding is any error but PlexError, a refusal that is not good enough, and a file that takes more
than a second of the processor (two with the instruments of atheris); libFuzzer itself adds endless
loops and too much memory.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["plexctl"]):
    from tests.readers import read_or_refused, write_lab

LONGEST = 2.0
"""Seconds of the processor for a file: instrumented code takes twice as long."""


def main() -> None:
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        root = Path(folder)

        write_lab(root)
        (root / name).parent.mkdir(parents=True, exist_ok=True)

        def read(content: bytes) -> None:
            (root / name).write_bytes(content)
            # The first of a kind of file may import a parser.
            if read_or_refused(root, name) > LONGEST:
                (root / name).write_bytes(content)
                took = read_or_refused(root, name)
                assert took <= LONGEST, f"{took:.1f} s"

        atheris.Setup(sys.argv, read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
