"""The command line."""

import gc

# A start makes many objects that all stay: looking for garbage among them is time lost.
gc.set_threshold(100_000, 50, 100)
