"""The small commands in bin/: a module each, with `main(argv)` that returns the exit code."""
