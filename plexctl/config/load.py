"""Loading a lab: its files are read, checked, and converted to the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from plexctl.config.build import build
from plexctl.config.check import check
from plexctl.config.draft import draft_lab
from plexctl.errors import ConfigError, UsageError
from plexctl.model.lab import Lab


def find_lab(start: Path) -> Path:
    """The lab that contains `start`: the nearest parent folder with a folder `clusters`."""
    start = existing(start)
    for folder in (start, *start.parents):
        if (folder / "clusters").is_dir():
            return folder
    raise UsageError(
        f"there is no lab in {start} or its parent folders",
        hint="create one with `plexctl init`, or name one with `-C DIR`",
    )


def existing(folder: Path) -> Path:
    """The whole path of a folder. UsageError if it is none, or if the current folder is gone."""
    found = whole_path(folder)
    try:
        there = found.is_dir()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        there = False
    if not there:
        raise UsageError(f"there is no folder {folder}", hint="`-C DIR` names the folder of a lab")
    return found


def whole_path(path: Path) -> Path:
    """A path from the root. UsageError if it cannot be one, or if the current folder is gone."""
    try:
        return path.resolve()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder does not exist any more",
            hint="`cd` to another one, or use `-C DIR`",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
        raise UsageError(f"{path} cannot be used: {reason}") from error


def load_lab(
    root: Path, kubernetes_versions: Sequence[str], components: Collection[str] | None = None
) -> Lab:
    """The lab at `root`. ConfigError with all problems of all its files.

    `kubernetes_versions` are the supported versions ("1.36.3"), in any order. `components` are the
    names of all components of the depot; None: those in the files are not checked.
    """
    drafts = draft_lab(root)
    check(drafts, kubernetes_versions, components)
    problems = {problem for source in drafts.sources() for problem in source.problems}
    if problems:
        raise ConfigError(sorted(problems, key=lambda p: (p.file, p.line, p.field, p.message)))
    return build(drafts, kubernetes_versions)
