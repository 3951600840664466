"""What hosts have, asked of all at once. Apart from what changes it, as it loads far sooner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from plexctl.errors import UnreachableHostError
from plexctl.model.host import Host
from plexctl.model.observed import HostState


def read_hosts(clients: Mapping[str, Host], hosts: Iterable[str]) -> dict[str, HostState]:
    """By name; one that does not answer is silent. UnreachableHostError if none of them does."""
    names = tuple(dict.fromkeys(hosts))
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        found = pool.map(lambda name: _read(clients, name), names)
        states = dict(zip(names, found, strict=True))
    silent = [state.unreachable for state in states.values() if state.unreachable]
    if silent and len(silent) == len(states):
        raise silent[0]
    return states


def _read(clients: Mapping[str, Host], name: str) -> HostState:
    try:
        return clients[name].read()
    except UnreachableHostError as error:
        return HostState.of_unreachable(name, error)
