"""Files that the docs name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = "plexctl|tests|roles|types|terraform|apps|bin"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)`")
SHORT = re.compile(
    r"`((?:bake|bootstrap|clients|config|depot|model|plan|provision|workflow)/[\w./]+)`"
)
PAGES = [
    "CONTRIBUTING.md",
    *(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
]
EXAMPLES = {
    "types/kube-BASE.yaml",
    "plexctl/workflow/plex/addresses.py",
    "plexctl/cli/addresses.py",
}
"""Files that a reader writes."""


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {*NAMED.findall(text), *(f"plexctl/{path}" for path in SHORT.findall(text))} - EXAMPLES
    missing = {path for path in named if not (ROOT / path).exists()}
    assert not missing
