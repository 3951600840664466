"""What no one expected: told in one line, and written down in full."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from plexctl import __version__
from plexctl.errors import PlexError
from plexctl.model.files import write_private


def as_bug(error: Exception) -> PlexError:
    """`error` as a user sees it: a bug, with its traceback in a file that only they can read.

    What the system refuses is none: its file and the reason say all.
    """
    if isinstance(error, OSError) and error.filename:
        hint = "who may read and write there?" if isinstance(error, PermissionError) else None
        return PlexError(f"{error.filename}: {error.strerror}", hint=hint)
    summary = f"this is a bug in plexctl: {type(error).__name__}: {error}".splitlines()[0]
    text = "".join(traceback.format_exception(error))
    command = " ".join(sys.argv[1:])
    try:
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}.txt"
        write_private(file, f"plexctl {__version__}: {command}\n{text}".encode())
    except (OSError, PlexError) as why:
        last = text.strip().splitlines()[-3:-1]
        return PlexError(summary, details=(f"the traceback cannot be written: {why}", *last))
    return PlexError(summary, hint=f"please report it with the traceback in {file}")


def _folder() -> Path:
    """The state folder of the lab, or of the user where there is none."""
    from platformdirs import user_state_path

    from plexctl.config.load import find_lab

    try:
        return find_lab(Path()) / ".plexctl"
    except Exception:  # noqa: BLE001 - the bug may be right there
        return user_state_path("plexctl")
