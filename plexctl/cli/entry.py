"""The console entry. It imports little: signals must have their handlers first."""

from __future__ import annotations

import gc
import signal
import sys

OBJECTS = 100_000
"""New objects after which Python looks for garbage. Most of what a verb loads is never garbage, and
with the default of 700, looking takes a twentieth of the processor time of `plan`."""


def main() -> None:
    """Run plexctl, and end the process. A signal at any instant ends it with one line."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    gc.set_threshold(OBJECTS)
    from plexctl.cli.start import start, stopped
    from plexctl.errors import Interrupted

    try:
        try:
            start()  # the signals are delivered from here on
            from plexctl.cli.main import main as run

            run()
        finally:
            # The work has ended. A signal to Python as it shuts down would replace the exit code.
            for number in signals:
                signal.signal(number, signal.SIG_IGN)
    except Interrupted as interrupted:
        sys.exit(stopped(interrupted))
