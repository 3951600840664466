"""`python -m plexctl`."""

from plexctl.cli.entry import main

main()
