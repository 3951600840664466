"""Read the objects of hosts in parallel. Apart from the engines, which load more slowly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from plexctl.errors import UnreachableHostError
from plexctl.model.host import Host
from plexctl.model.observed import HostState


def read_hosts(clients: Mapping[str, Host], hosts: Iterable[str]) -> dict[str, HostState]:
    """The states of `hosts` by name; one that does not answer is in it as unreachable.

    UnreachableHostError if no host answers.
    """
    names = tuple(dict.fromkeys(hosts))
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        found = pool.map(lambda name: _read(clients, name), names)
        states = dict(zip(names, found, strict=True))
    unreachable = [state.unreachable for state in states.values() if state.unreachable]
    if unreachable and len(unreachable) == len(states):
        raise unreachable[0]
    return states


def _read(clients: Mapping[str, Host], name: str) -> HostState:
    try:
        return clients[name].read()
    except UnreachableHostError as error:
        return HostState.of_unreachable(name, error)
