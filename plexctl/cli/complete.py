"""Names for the shell's completion, from the configuration alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer


def plex_names(context: typer.Context, incomplete: str) -> list[str]:
    """Plexes of the lab: the folders with a plex file; none of them is read."""
    from plexctl.config.load import find_lab
    from plexctl.errors import PlexError

    try:
        files = (find_lab(_directory(context)) / "clusters").glob("*/plex.yaml")
        return _fitting((file.parent.name for file in files), incomplete)
    except (PlexError, OSError):
        return []


def node_names(context: typer.Context, incomplete: str) -> list[str]:
    """Nodes of the plex that `--plex` names, or of all plexes; nothing if the lab is faulty."""
    from plexctl.config.load import find_lab, load_lab
    from plexctl.depot.pins import load_pins
    from plexctl.errors import PlexError
    from plexctl.model.nodes import node_name

    try:
        root = find_lab(_directory(context))
        lab = load_lab(root, load_pins(root / "pins").versions())
    except (PlexError, OSError):
        return []
    chosen = context.params.get("plex")
    plexes = [plex for plex in lab.plexes.values() if chosen in (None, plex.name)]
    names = (node_name(plex.name, n + 1) for plex in plexes for n in range(plex.size))
    return _fitting(("master", *names), incomplete)


def run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Runs that the lab has recorded."""
    from plexctl.config.load import find_lab
    from plexctl.errors import PlexError

    try:
        files = (find_lab(_directory(context)) / ".plexctl" / "runs").glob("*.jsonl")
        return _fitting((file.stem for file in files), incomplete)
    except (PlexError, OSError):
        return []


def type_names(context: typer.Context, incomplete: str) -> list[str]:
    """Types of nodes that the lab sees, its own and the built-in ones."""
    from plexctl.config.builtin import names
    from plexctl.config.load import find_lab
    from plexctl.errors import PlexError

    try:
        files = names(find_lab(_directory(context)), "types")
    except (PlexError, OSError):
        return []
    known = (name.removesuffix(".yaml") for name in files)
    return _fitting((name for name in known if name != "bases"), incomplete)


def app_names(incomplete: str) -> list[str]:
    """Apps that come with plexctl."""
    from plexctl.config.builtin import builtin

    return _fitting((folder.name for folder in builtin("apps").glob("*/")), incomplete)


def chart_names(context: typer.Context, incomplete: str) -> list[str]:
    """Apps of the lab that are from charts."""
    from plexctl.config.load import find_lab
    from plexctl.errors import PlexError
    from plexctl.workflow.gitops.charts import app_files

    try:
        return _fitting(app_files(find_lab(_directory(context))), incomplete)
    except (PlexError, OSError):
        return []


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _directory(context: typer.Context) -> Path:
    return Path(context.find_root().params.get("directory") or ".")
