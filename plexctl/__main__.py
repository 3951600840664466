"""`python -m plexctl`."""

from plexctl.cli.main import main

main()
