"""The command line."""

import gc

# Most objects that a command creates live until it ends. The default threshold (700) would scan
# them again and again: it costs about a tenth of the CPU time of `plan`.
gc.set_threshold(100_000, 50, 100)
