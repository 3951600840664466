"""The two that are compared, as the commands that their users type."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from plexctl.clients.process import run
from plexctl.errors import PlexError
from tests.bench import machine
from tests.bench.observe import Cluster, Observed, observe

ASKING = 60.0
"""Seconds that a command may take that only looks."""


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    cluster: Cluster
    up: tuple[str, ...]
    replace_worker: tuple[str, ...]  # the last one
    replace_master: tuple[str, ...]
    scale: Callable[[int], tuple[str, ...]]  # to so many workers
    destroy: tuple[str, ...]
    environment: Mapping[str, str]
    keeps_kubeconfig: bool  # over a new master
    program: tuple[str, ...] = field(default=())  # that is asked about the cluster, if there is one

    def observe(
        self,
        observed: Observed,
        command: tuple[str, ...],
        *,
        old: frozenset[str] = frozenset(),
        also: Collection[str] = (),
    ) -> None:
        """See `observe.observe`; on a machine that has come to rest."""
        if command in (self.up, self.replace_master) and not self.keeps_kubeconfig:
            self.cluster.forget()
        machine.rest()
        observe(observed, command, self.cluster, self.environment, old=old, also=also)

    def until_ready(self, command: tuple[str, ...], old: frozenset[str] = frozenset()) -> float:
        """Seconds until all nodes are Ready, none of them one of the UIDs in `old`."""
        observed = Observed()
        self.observe(observed, command, old=old)
        return observed.instants["ready"]

    def timed(self, *words: str) -> float:
        return timed((*self.program, *words), self.environment)


def timed(argv: tuple[str, ...], environment: Mapping[str, str], says: str = "") -> float:
    """Seconds that a command takes; PlexError unless it ends with 0 and prints `says`."""
    began = time.monotonic()
    done = run(argv, timeout=ASKING, env=environment)
    seconds = time.monotonic() - began
    if says not in done.stdout:
        raise PlexError(f"{' '.join(argv)} does not say {says}")
    return seconds
