"""The lab that a command works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from platformdirs import user_cache_path

from plexctl.cli.terminal import approval, consent, passphrase
from plexctl.config import load
from plexctl.model.plex import Plex
from plexctl.render import progress
from plexctl.workflow.core import context as contexts

if TYPE_CHECKING:
    from plexctl.workflow.core.context import Context


def directory(context: typer.Context) -> Path:
    """The folder of `-C`, or the current folder."""
    return Path(context.find_root().params["directory"] or ".")


def lab(
    context: typer.Context, *, quiet: bool = False, verbose: bool = False, yes: bool = False
) -> AbstractContextManager[Context]:
    """Open the lab that the command is for; progress is shown until the block ends.

    With `yes`, parts of the lab that run programs on this machine are trusted without a question.
    """
    return opened(directory(context), quiet=quiet, verbose=verbose, yes=yes)


@contextmanager
def one_plex(
    context: typer.Context,
    name: str | None,
    *,
    quiet: bool = False,
    verbose: bool = False,
    yes: bool = False,
) -> Iterator[tuple[Context, Plex]]:
    """Open the lab that the command is for, with the plex called `name`; see `find_plex`."""
    with lab(context, quiet=quiet, verbose=verbose, yes=yes) as ctx:
        yield ctx, find_plex(ctx, name)


@contextmanager
def opened(
    folder: Path, *, quiet: bool = False, verbose: bool = False, yes: bool = False
) -> Iterator[Context]:
    """Open the lab around `folder`, its seed and hosts; progress is shown until the block ends."""
    root = load.find_lab(folder)
    with progress.progress(quiet=quiet, verbose=verbose) as display:
        yield contexts.open_lab(
            root,
            cache=cache(),
            listener=display,
            ask=passphrase(),
            approve=approval(yes, display.paused),
            consent=consent(display.paused),
        )


def cache() -> Path:
    """The folder of the depot and of bakes, shared by all labs of a user."""
    return user_cache_path("plexctl")


def find_plex(ctx: Context, name: str | None) -> Plex:
    """The plex called `name`; without a name the current or the only plex."""
    return contexts.find_plex(ctx, name)
