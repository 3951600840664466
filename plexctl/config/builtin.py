"""Built-in types, roles, apps and clusters, and the lab's own ones, which take precedence."""

from __future__ import annotations

import os
from pathlib import Path

from plexctl.model.folder import lab_file

_PACKAGE = Path(__file__).parents[1]


def builtin(kind: str) -> Path:
    """The folder of the built-in `kind`: "apps", "clusters", "roles", "terraform" or "types".

    An installed package contains it; in a checkout it is next to the package.
    """
    installed = _PACKAGE / "builtin" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def overlay(lab: Path, kind: str, name: str) -> Path:
    """The path of `name` of `kind` for the lab at `lab`: its own one, or else the built-in one.

    UsageError for a link that leads out of the lab. A link to nothing is the lab's own one.
    """
    own = lab / kind / name
    if not os.path.lexists(own):
        return builtin(kind) / name
    lab_file(lab, own)
    return own


def names(lab: Path, kind: str) -> tuple[str, ...]:
    """All names of `kind` for the lab at `lab`, its own and the built-in ones, sorted."""
    folders = (lab / kind, builtin(kind))
    return tuple(sorted({entry.name for folder in folders for entry in folder.glob("[!.]*")}))
