"""docs/assets/demo.svg, a picture of a terminal with the recorded blocks of demo.md.

`bin/docs reference` draws it; `bin/docs record tests/docs/demo.md` records the blocks before.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

SOURCE = Path(__file__).with_name("demo.md")
PICTURE = Path(__file__).parents[2] / "docs" / "assets" / "demo.svg"
WIDTH = 84

_THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (110, 118, 129),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (201, 209, 217),
    ],
)
# The library's format loads a font from a server.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code", "ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono"
)
_STYLES = (
    (r"^\$ .*", "bold bright_white"),
    (r"^\$", "bold blue"),
    (r"^✓", "bold green"),
    (r"^=", "blue"),
    (r"\(\d[\d.]* s\)", "bright_black"),
    (r"^[A-Z]{3,}( +[A-Z]+)+$", "bright_black"),
    (r"\bReady\b(?=  )", "green"),
    (r"^\.\.\.$", "bright_black"),
)


def picture() -> str:
    """The text of docs/assets/demo.svg."""
    blocks = re.findall(r"^```console\n(.*?)^```", SOURCE.read_text(), re.DOTALL | re.MULTILINE)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    for line in "\n".join(blocks).splitlines():
        text = Text(line)
        for pattern, style in _STYLES:
            text.highlight_regex(pattern, style)
        console.print(text, no_wrap=True, overflow="crop")
    return console.export_svg(title="plexctl", theme=_THEME, code_format=_FORMAT)


def main() -> None:
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture())


if __name__ == "__main__":
    main()
