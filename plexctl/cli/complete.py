"""Completion of names in a shell. Reads files of the lab; calls no host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from plexctl.config import builtin, load
from plexctl.depot import pins
from plexctl.errors import PlexError
from plexctl.model.nodes import node_name
from plexctl.model.state import find_state


def plex_names(context: typer.Context, incomplete: str) -> list[str]:
    """Plexes of the lab: the folders with a plex file. No plex file is read."""
    try:
        files = (lab_folder(context) / "clusters").glob("*/plex.yaml")
        return fitting((file.parent.name for file in files), incomplete)
    except (PlexError, OSError):
        return []


def node_names(context: typer.Context, incomplete: str) -> list[str]:
    """Nodes of the plex of `--plex`, or of all plexes; none if the configuration has problems."""
    try:
        root = lab_folder(context)
        lab = load.load_lab(root, pins.load_pins(root / "pins").versions())
    except (PlexError, OSError):
        return []
    chosen = context.params.get("plex")
    plexes = [plex for plex in lab.plexes.values() if chosen in (None, plex.name)]
    found = (node_name(plex.name, n + 1) for plex in plexes for n in range(plex.size))
    return fitting(("master", *found), incomplete)


def run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Recorded runs of the lab."""
    try:
        state = find_state(lab_folder(context) / ".plexctl")
        files = state.below("runs").files() if state else ()
        names = (file.removesuffix(".jsonl") for file in files if file.endswith(".jsonl"))
        return fitting(names, incomplete)
    except (PlexError, OSError):
        return []


def snapshot_names(context: typer.Context, incomplete: str) -> list[str]:
    """Snapshots of the plex of `--plex`, or of all plexes, as plexctl has last listed them."""
    chosen = context.params.get("plex")
    try:
        state = find_state(lab_folder(context) / ".plexctl")
        names = set[str]()
        for plex in state.below("plexes").names() if state else ():
            if state and chosen in (None, plex):
                content = state.below("plexes", plex).read("snapshots") or b""
                names |= set(content.decode(errors="replace").split())
        return fitting(names, incomplete)
    except (PlexError, OSError):
        return []


def type_names(context: typer.Context, incomplete: str) -> list[str]:
    """Types of nodes: those of the lab and the built-in ones."""
    try:
        files = builtin.names(lab_folder(context), "types")
    except (PlexError, OSError):
        return []
    types = (name.removesuffix(".yaml") for name in files)
    return fitting((name for name in types if name != "bases"), incomplete)


def app_names(incomplete: str) -> list[str]:
    """Built-in apps."""
    return fitting((folder.name for folder in builtin.builtin("apps").glob("*/")), incomplete)


def fitting(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin with `incomplete`, sorted."""
    return sorted(name for name in names if name.startswith(incomplete))


def lab_folder(context: typer.Context) -> Path:
    """The root of the lab. PlexError if there is none."""
    return load.find_lab(Path(context.find_root().params.get("directory") or "."))
