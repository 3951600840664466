"""What plexctl brings along, and what a lab lays over it: types and roles."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def builtin(kind: str) -> Path:
    """The folder of the built-in `kind`: "apps", "clusters", "roles", "terraform" or "types".

    In an installed package it is part of it; in a checkout it lies beside the package.
    """
    installed = _PACKAGE / "builtin" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def overlay(lab: Path, kind: str, name: str) -> Path:
    """`name` of `kind` as the lab at `lab` sees it: its own if it has one, else the built-in."""
    own = lab / kind / name
    return own if own.exists() else builtin(kind) / name


def names(lab: Path, kind: str) -> tuple[str, ...]:
    """All names of `kind` that the lab sees, its own and the built-in ones, sorted."""
    folders = (lab / kind, builtin(kind))
    return tuple(sorted({entry.name for folder in folders for entry in folder.glob("[!.]*")}))
