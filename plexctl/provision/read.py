"""Read the objects of hosts in parallel. Apart from the engines, which load more slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from plexctl.errors import UnreachableHostError
from plexctl.model.host import Host
from plexctl.model.observed import HostState


def read_hosts(clients: Mapping[str, Host], hosts: Iterable[str]) -> dict[str, HostState]:
    """The states of `hosts` by name; one that does not answer is in it as unreachable.

    UnreachableHostError if no host answers.
    """
    return _states(hosts, lambda name: clients[name].read())


def read_instances(clients: Mapping[str, Host], hosts: Iterable[str]) -> dict[str, HostState]:
    """The same with only the instances of the hosts."""
    return _states(hosts, lambda name: clients[name].read_instances())


def _states(hosts: Iterable[str], read: Callable[[str], HostState]) -> dict[str, HostState]:
    names = tuple(dict.fromkeys(hosts))
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        found = pool.map(lambda name: _state(name, read), names)
        states = dict(zip(names, found, strict=True))
    unreachable = [state.unreachable for state in states.values() if state.unreachable]
    if unreachable and len(unreachable) == len(states):
        raise unreachable[0]
    return states


def _state(name: str, read: Callable[[str], HostState]) -> HostState:
    try:
        return read(name)
    except UnreachableHostError as error:
        return HostState.of_unreachable(name, error)
