"""`python -m plexctl.scripts NAME [ARGUMENT…]` runs a script. The links in bin/ call this."""

from __future__ import annotations

import sys
from importlib import import_module

from plexctl.cli.start import start
from plexctl.scripts import NAMES
from plexctl.scripts.entry import outcome


def main() -> None:
    start()
    name, *argv = sys.argv[1:] or ("",)
    if name not in NAMES:
        sys.exit(f"error: there is no script {name!r}\nhint: scripts: {', '.join(NAMES)}")
    sys.exit(outcome(import_module(f"plexctl.scripts.{name}").main, argv))


if __name__ == "__main__":
    main()
