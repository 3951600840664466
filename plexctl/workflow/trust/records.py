"""The user's decisions about labs: which files of each lab may run programs on this machine.

They are in the user's own state folder, by the token of the lab's state folder: a lab at the same
path, or a copy of the repository, has another token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from plexctl.config.init import STATE
from plexctl.model.folder import PRIVATE, Folder, make_folders
from plexctl.model.state import find_state, lab_token, state_folder

FOLDER = "trust"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the user has decided about a lab."""

    files: Mapping[str, str] = field(default_factory=dict)  # digests of trusted files, by path
    always: bool = False  # all files, and whatever they become


def decision(root: Path) -> Decision:
    """The decision about the lab at `root`. UsageError if its state folder is not ours."""
    state = find_state(root / STATE)
    content = _folder().read(f"{lab_token(state)}.json") if state else None
    if content is None:
        return Decision()
    try:
        match json.loads(content):
            case {"files": dict(files), "always": bool(always)}:
                return Decision({str(path): str(digest) for path, digest in files.items()}, always)
    except ValueError:
        pass
    return Decision()  # of a newer plexctl, or damaged: ask again


def decide(root: Path, decided: Decision) -> None:
    """Store the decision about the lab at `root`, instead of an earlier one."""
    record = {"lab": str(root), "always": decided.always, "files": dict(decided.files)}
    token = lab_token(state_folder(root / STATE))
    make_folders(user_state_path("plexctl"), PRIVATE)
    _folder().write(f"{token}.json", f"{json.dumps(record, indent=2)}\n".encode(), 0o600)


def forget(root: Path) -> bool:
    """Delete the decision about the lab at `root`; whether there was one."""
    state = find_state(root / STATE)
    name = f"{lab_token(state)}.json" if state else ""
    if not state or name not in _folder().names():
        return False
    _folder().delete(name)
    return True


def _folder() -> Folder:
    return Folder(user_state_path("plexctl"), (FOLDER,), private=True)
