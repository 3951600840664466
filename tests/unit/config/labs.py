"""Labs from the texts of their files, and the problems of their files."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from plexctl.config.load import load_lab
from plexctl.errors import ConfigError

VERSIONS = ("1.35.4", "1.36.3", "1.36.10", "1.9.9")


def lab(root: Path, **files: str) -> Path:
    """A lab at `root`; names of files have __ for / and no .yaml."""
    files = {"clusters__hosts": "hosts: {local: {}}\n", **files}
    for name, text in files.items():
        file = root / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


def faults(root: Path) -> list[str]:
    """Every problem of the lab as `file:line field: message (hint)`."""
    with pytest.raises(ConfigError) as caught:
        load_lab(root, VERSIONS)
    return [
        f"{problem.file.relative_to(root)}:{problem.line} {problem.field}: {problem.message}"
        + (f" ({problem.hint})" if problem.hint else "")
        for problem in caught.value.problems
    ]


def plex_faults(root: Path, text: str) -> list[str]:
    """Every problem of a plex file, as `line field: message (hint)`."""
    found = faults(lab(root, clusters__demo__plex=text))
    return [fault.removeprefix("clusters/demo/plex.yaml:") for fault in found]
