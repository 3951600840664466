"""The files of a layer, in one folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from plexctl.bake.roles import refuse_links
from plexctl.depot.store import Stored
from plexctl.plan.recipes import Recipe


def stage_layer(recipe: Recipe, role: Path, artifacts: Mapping[str, Stored], folder: Path) -> Path:
    """Put a layer's role into `folder`/role, and its artifacts into `folder`/depot/<component>.

    UsageError for a link that leaves the role.
    """
    refuse_links(role)
    shutil.copytree(role, folder / "role")
    for component in recipe.layer.artifacts:
        place = folder / "depot" / component
        place.mkdir(parents=True)
        for artifact in artifacts[component].artifacts:
            _link(artifact.path, place / artifact.name)
    # Executable or not, as the digest records it. Readable for everybody: to root of an
    # unprivileged instance these files belong to another user.
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        elif path.is_relative_to(folder / "role"):
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return folder


def _link(source: Path, target: Path) -> None:
    """Link a file; copy it if the two folders are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
