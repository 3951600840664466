"""Files of a lab with random changes: each is read, or refused with file and line, in a second."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from plexctl.config.load import load_lab
from plexctl.depot.check_pins import read_pins
from plexctl.depot.lock import Lock
from tests.readers import FILES, READERS, VERSIONS, read_or_refused, write_lab

PIECES = (
    *(b"[" * 60, b"{" * 300, b"- " * 70, b"? " * 60, b"&a ", b"*a", b"<<: *g\n", b"<<: 1\n"),
    *(b"!!timestamp ", b"!!python/object:os.system ", b"!!int ", b"!!binary ", b"!!float "),
    *(b"!!bool ", b"!!null ", b"!!set ", b"!!omap ", b"!!pairs ", b"! ", b"!a!b ", b"%YAML 3.0\n"),
    *(b"\0", b"\x1b[31m", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u2028".encode()),
    *(b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b".nan", b"-.inf", b"1_0", b"0b1", b"1:2", b"07"),
    *(b"2026-13-41", b"2026-01-01", b"2026-01-01 25:99:99", "\u0662".encode(), b"---\n", b"...\n"),
    *(
        b"=",
        b"~",
        b"null",
        b"[]",
        b"{}",
        b"''",
        b'"',
        b"'",
        b"\t",
        b"\n",
        b": ",
        b"- ",
        b"#",
        b"|\n",
    ),
    *(
        b"https://[::1",
        b"https://x:99999",
        b"10.0.0.0/99",
        b"\\x",
        b"@",
        b"`",
        b"%",
        b",",
        b"x" * 999,
    ),
)


def _mutated(content: bytes, change: random.Random) -> bytes:
    for _ in range(change.randint(1, 3)):
        at, end = sorted((change.randint(0, len(content)), change.randint(0, len(content))))
        end = change.choice((at, at + 1, end))
        other = content[end : end + change.randint(0, 40)]
        piece = change.choice((*PIECES, b"", other, bytes([change.randrange(256)])))
        content = content[:at] + piece + content[end:]
    return content


def _write(root: Path, name: str = "", seed: int = 0) -> None:
    write_lab(root)
    if name:
        file = root / name
        file.write_bytes(_mutated(file.read_bytes(), random.Random(seed)))


def test_the_lab_is_read_before_it_is_changed(tmp_path: Path) -> None:
    _write(tmp_path)
    assert load_lab(tmp_path, VERSIONS).plexes["demo"].size == 4
    assert set(read_pins(tmp_path / "pins.yaml").sections) == {
        "modules",
        "components",
        "kubernetes",
    }
    assert Lock(tmp_path / "depot.lock").read() == {"a": "b", "c": "d"}
    for name in FILES:
        assert READERS[name](tmp_path)


@settings(
    max_examples=int(os.environ.get("PLEXCTL_EXAMPLES", "1000")),
)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 2**32))
def test_a_mutated_file_is_read_or_refused_with_file_and_line(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root, name, seed)
        # A slow first time may be that of an import or of a parser's tables; the second is not.
        assert read_or_refused(root, name) < 1 or read_or_refused(root, name) < 1
