"""The distribution of nodes over the hosts of a plex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import gcd

GIB = 1 << 30


def by_capacity(memory: Mapping[str, int]) -> tuple[str, ...]:
    """Hosts in the order of nodes, each as often as its share of all memory (bytes, by host).

    The order is even throughout: any number of first nodes is distributed in this proportion.
    """
    sizes = {host: max(1, round(size / GIB)) for host, size in memory.items()}
    common = reduce(gcd, sizes.values())
    weights = {host: size // common for host, size in sizes.items()}
    owed, order = dict.fromkeys(weights, 0), list[str]()
    for _ in range(sum(weights.values())):
        owed = {host: owed[host] + weights[host] for host in weights}
        chosen = max(owed, key=lambda host: owed[host])
        owed[chosen] -= sum(weights.values())
        order.append(chosen)
    return tuple(order)
