"""The names of snapshots, stored for the completion in a shell: that calls no host."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from plexctl.errors import PlexError
from plexctl.workflow.core.context import Context

FILE = "snapshots"
"""In the folder of a plex: a name a line."""


def store_names(ctx: Context, plex: str, names: Iterable[str]) -> None:
    """Store the names of the snapshots of a plex. Without a usable state folder, nothing."""
    content = "".join(f"{name}\n" for name in dict.fromkeys(names))
    with suppress(PlexError):
        ctx.plex_folder(plex).write_changed(FILE, content.encode())
