"""Whether this machine can have so many nodes, before minutes are spent on it."""

from __future__ import annotations

from plexctl.clients.process import run
from plexctl.model.limits import shortages
from plexctl.workflow.plex.limits import read_limits
from tests.bench import machine

MEMORY_PER_NODE = 140.0
"""MiB: a node with nothing but Kubernetes, its part of the kernel's memory and of the master's."""


def lacking(nodes: int) -> str:
    """Why not, and what lifts it; empty if there is room for `nodes` more."""
    states = run(["incus", "list", "-f", "csv", "-c", "s"], timeout=60).stdout.split()
    values, used = read_limits()
    found = [str(one) for one in shortages(values, used, nodes, states.count("RUNNING"))]
    needed, free = nodes * MEMORY_PER_NODE, machine.available()
    if free < needed:
        found.append(f"{nodes} nodes need about {needed:.0f} MiB of memory, {free:.0f} are free")
    return "\n".join(found)
