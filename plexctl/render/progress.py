"""Progress of a run on standard error: live on a terminal, else as lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.model.events import Listener
from plexctl.render.lines import Lines


@contextmanager
def progress(*, quiet: bool = False, verbose: bool = False) -> Iterator[Listener]:
    """A listener that shows events until the block ends; with `verbose`, also instants of nodes."""
    if quiet:
        yield lambda event: None
        return
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        # Importing rich takes 0.1 s, and only a terminal needs it.
        from plexctl.render.live import Live

        live = Live(verbose=verbose)
        try:
            yield live.show
        finally:
            live.close()
        return
    lines = Lines(sys.stderr, verbose=verbose)
    try:
        yield lines.show
    finally:
        lines.close()
