"""Tables and numbers in text."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.errors import visible_line


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their cells; columns whose cells are all empty are left out."""
    rows = [[visible_line(cell) for cell in row] for row in rows]
    filled = [n for n in range(len(head)) if any(row[n] for row in rows)]
    lines = [[row[n] for n in filled] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in p).rstrip() for p in padded)


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(number: int) -> str:
    """ "812 B", "1.1 GiB"."""
    amount, units = float(number), ["B", "KiB", "MiB", "GiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.1f} {units[0]}" if units[0] != "B" else f"{number} B"


def age(seconds: int) -> str:
    """ "40 s", "5 min", "3 h", "12 d"."""
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172800 else f"{seconds // 86400} d"
