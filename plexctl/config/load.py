"""Loading a lab: its files are read, checked, and converted to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plexctl.config.build import build
from plexctl.config.check import check
from plexctl.config.draft import draft_lab
from plexctl.errors import ConfigError, UsageError
from plexctl.model.lab import Lab


def find_lab(start: Path) -> Path:
    """The lab that contains `start`: the nearest parent folder with a folder `clusters`."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "clusters").is_dir():
            return folder
    raise UsageError(
        f"there is no lab in {start} or its parent folders",
        hint="create one with `plexctl init`, or name one with `-C DIR`",
    )


def load_lab(root: Path, kubernetes_versions: Sequence[str]) -> Lab:
    """The lab at `root`. ConfigError with all problems of all its files.

    `kubernetes_versions` are the supported versions ("1.36.3"), in any order.
    """
    drafts = draft_lab(root)
    check(drafts, kubernetes_versions)
    problems = {problem for source in drafts.sources() for problem in source.problems}
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: (p.file, p.line, p.field)))
    return build(drafts, kubernetes_versions)
