"""The state folder of a lab, `.plexctl`: only one that plexctl itself created is used.

A repository or an archive can contain a `.plexctl` with links and files of somebody else. So each
state folder has a random token, and the user's own state folder has a file with that name. Nothing
that comes with a lab can contain the token. Device and inode numbers would not do: the first change
when a machine restarts, and the second are used again after a file is deleted.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from plexctl.errors import PlexError, UsageError
from plexctl.model.folder import PRIVATE, SHARED, Folder, make_folders

TOKEN = "token"  # noqa: S105 - the name of a file
_TOKEN = re.compile(rb"[0-9a-f]{32}")


def state_folder(path: Path) -> Folder:
    """The state folder `path` of a lab, created if there is none. UsageError if it is not ours."""
    found = find_state(path)
    if found is None:
        _create(path)
        found = find_state(path)
        assert found is not None, path
    return found


def find_state(path: Path) -> Folder | None:
    """The state folder `path`; None if there is none. UsageError if it is not ours."""
    folder = _folder(path)
    token = folder.read(TOKEN)
    if token is None:
        if not folder.exists():
            return None
        token = folder.read(TOKEN)  # another plexctl may have created it since: it is complete
    if token is None or not _TOKEN.fullmatch(token) or not (_records() / token.decode()).is_file():
        raise UsageError(
            f"refusing to use {path}: plexctl did not create it for this user",
            details=(
                "it came with the lab, is a copy, or was created by an older plexctl or by root",
            ),
            hint=f"delete it, and run the command again: `rm -r {path}`; plexctl computes its"
            " files again, except the journals of past runs",
        )
    return folder


def lab_token(state: Folder) -> str:
    """The token of a state folder that `find_state` has returned. It identifies the lab."""
    token = state.read(TOKEN)
    assert token is not None, state.path
    return token.decode()


def claim(path: Path) -> None:
    """Make the existing folder `path` a state folder of this user."""
    token = secrets.token_hex(16)
    make_folders(_records(), PRIVATE)
    Folder(_records()).write(token, f"{os.path.realpath(path.parent)}\n".encode(), 0o600)
    folder = _folder(path)
    folder.write(".gitignore", b"*\n")
    folder.write(TOKEN, token.encode(), 0o600)


def _folder(path: Path) -> Folder:
    return Folder(path.parent, (path.name,), private=True)


def _records() -> Path:
    from platformdirs import user_state_path  # not needed to import plexctl's model

    return user_state_path("plexctl") / "labs"


def _create(path: Path) -> None:
    """Create the folder under another name first: `path` exists only when it is complete."""
    try:
        make_folders(path.parent, SHARED)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}."))  # mode 0700
        claim(temporary)
    except OSError as error:
        raise PlexError(f"cannot create {error.filename or path}: {error.strerror}") from error
    with suppress(OSError):  # another plexctl was faster
        temporary.rename(path)
        return
    Folder(path.parent).delete(temporary.name)
