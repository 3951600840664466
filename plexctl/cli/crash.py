"""Unexpected exceptions: one line for the user, and the traceback in a file."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from plexctl import __version__
from plexctl.cli.start import FULL
from plexctl.errors import PlexError
from plexctl.model.folder import PRIVATE, Folder, make_folders


def as_bug(error: Exception) -> PlexError:
    """`error` as the user sees it: a bug, whose traceback is in a file with mode 0600.

    An OSError with a file name is not a bug: the name and the reason are all that matters.
    """
    if isinstance(error, OSError) and error.filename:
        denied = isinstance(error, PermissionError)
        hint = f"check its owner and mode: `ls -ld {error.filename}`" if denied else None
        return PlexError(f"{error.filename}: {error.strerror}", hint=hint)
    if isinstance(error, OSError) and error.errno in FULL:
        return PlexError(
            f"cannot write: {error.strerror}",
            hint="free space on the disk of standard output, of the lab, and of ~/.cache/plexctl",
        )
    summary = f"this is a bug in plexctl: {type(error).__name__}: {error}".splitlines()[0]
    text = "".join(traceback.format_exception(error))
    command = " ".join(sys.argv[1:])
    try:
        folder, name = _folder(), f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}.txt"
        folder.write(name, f"plexctl {__version__}: {command}\n{text}".encode(), 0o600)
        file = folder.path / name
    except (OSError, PlexError) as reason:
        last = text.strip().splitlines()[-3:-1]
        return PlexError(summary, details=(f"the traceback cannot be written: {reason}", *last))
    return PlexError(
        summary,
        hint=f"run the command again; if it fails again, report the bug and attach {file}",
    )


def _folder() -> Folder:
    """The state folder of the lab, or of the user where there is no lab, or it is not ours."""
    try:
        from plexctl.config.load import find_lab  # the bug may be in what this imports
        from plexctl.model.state import state_folder

        return state_folder(find_lab(Path()) / ".plexctl")
    except Exception:  # noqa: BLE001 - see above
        from platformdirs import user_state_path  # few runs need it

        folder = user_state_path("plexctl")
        make_folders(folder, PRIVATE)
        return Folder(folder)
