"""The journals of a lab's runs, in the order in which they were written.

The name of a journal begins with the time at which its run began. That is the time of a clock,
which may have been wrong: the file `order` has the names in the order of the runs.
"""

from __future__ import annotations

from plexctl.model.folder import Folder

RUNS, JOURNAL = "runs", ".jsonl"

ORDER = "order"
LENGTH = 16384
"""Bytes of ORDER that are kept: more than the names of all journals that are kept."""


def add_run(runs: Folder, run: str) -> None:
    """Record that `run` is the last one."""
    runs.append_line(ORDER, run, LENGTH)


def runs_in_order(runs: Folder) -> tuple[str, ...]:
    """The identifiers of all runs that have a journal; the last one is the last that began.

    Those that ORDER does not have, of older versions of plexctl, come first.
    """
    names = [name.removesuffix(JOURNAL) for name in runs.files() if name.endswith(JOURNAL)]
    lines = (runs.read(ORDER) or b"").decode(errors="replace").splitlines()
    place = {run: number for number, run in enumerate(lines)}
    return tuple(sorted(names, key=lambda name: (place.get(name, -1), name)))
