"""Which host a node runs on, where its file names several."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import gcd

GIB = 1 << 30


def by_capacity(memory: Mapping[str, int]) -> tuple[str, ...]:
    """Hosts in turn, each as often as its memory (bytes, by host) is a share of all.

    The order is even throughout, so that the first nodes of a plex are spread as all of them are.
    """
    sizes = {host: max(1, round(size / GIB)) for host, size in memory.items()}
    common = reduce(gcd, sizes.values())
    weights = {host: size // common for host, size in sizes.items()}
    owed, turns = dict.fromkeys(weights, 0), []
    for _ in range(sum(weights.values())):
        owed = {host: owed[host] + weights[host] for host in weights}
        chosen = max(owed, key=lambda host: owed[host])
        owed[chosen] -= sum(weights.values())
        turns.append(chosen)
    return tuple(turns)
