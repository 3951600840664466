"""What a run tells while it goes on, shown on standard error: live on a terminal, else as lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.model.events import Listener
from plexctl.render.lines import Lines


@contextmanager
def progress(*, quiet: bool = False, verbose: bool = False) -> Iterator[Listener]:
    """A listener that shows events until the block ends. `verbose` shows every mark of a node."""
    if quiet:
        yield lambda event: None
        return
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        # rich takes 0.1 s to import: only a terminal needs it.
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
