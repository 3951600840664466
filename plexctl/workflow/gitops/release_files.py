"""The files of a lab's apps that contain a HelmRelease."""

from __future__ import annotations

import re
from pathlib import Path

from plexctl.config.bounded import TREE_BYTES, read_regular
from plexctl.errors import PlexError

_KIND = re.compile(rb"^kind: *HelmRelease\b", re.MULTILINE)


def release_files(root: Path) -> dict[str, Path]:
    """The file with a HelmRelease of each app that has one, by app. PlexError if one is no file."""
    found = sorted((root / "apps").glob("*/*.y*ml"))
    return {file.parent.name: file for file in found if _has_release(file)}


def shown(file: Path) -> str:
    """The file as messages name it: "apps/velero/release.yaml"."""
    return f"apps/{file.parent.name}/{file.name}"


def _has_release(file: Path) -> bool:
    try:
        return bool(_KIND.search(read_regular(file, TREE_BYTES)))
    except OSError as error:
        raise PlexError(f"{shown(file)}: cannot read the file: {error.strerror}") from error
