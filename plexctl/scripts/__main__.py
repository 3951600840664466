"""`python -m plexctl.scripts NAME [ARGUMENT…]` runs a script. The links in bin/ call this."""

from __future__ import annotations

import sys
from importlib import import_module

from plexctl.cli.start import start, stopped
from plexctl.errors import Interrupted
from plexctl.scripts import NAMES
from plexctl.scripts.entry import outcome


def main() -> None:
    try:
        start()
        _main()
    except Interrupted as interrupted:
        sys.exit(stopped(interrupted))


def _main() -> None:
    name, *argv = sys.argv[1:] or ("",)
    if name not in NAMES:
        sys.exit(f"error: there is no script {name!r}\nhint: scripts: {', '.join(NAMES)}")
    sys.exit(outcome(import_module(f"plexctl.scripts.{name}").main, argv))


if __name__ == "__main__":
    main()
