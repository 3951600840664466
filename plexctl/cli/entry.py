"""The console entry. It imports little: signals must have their handlers first."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run plexctl, and end the process. A signal at any instant ends it with one line."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    from plexctl.cli.start import start, stopped
    from plexctl.errors import Interrupted

    try:
        start()  # the signals are delivered from here on
        from plexctl.cli.main import main as run

        run()
    except Interrupted as interrupted:
        sys.exit(stopped(interrupted))
