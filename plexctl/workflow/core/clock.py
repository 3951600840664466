"""Clocks of this machine and of hosts, compared with each other and with certificates."""

from __future__ import annotations

from collections.abc import Iterable

from plexctl.errors import PlexError
from plexctl.keys.validity import SET_HOST_CLOCK, clock_fault, host_clock_fault
from plexctl.model.observed import HostState

SET_CLOCK = "set the clock: `timedatectl set-ntp true`, or `date -s`"

TOLERANCE = 300.0
"""Seconds by which clocks may differ.

A certificate that a cluster signs while it runs begins five minutes before it is signed: a host
whose clock is later by more than that does not accept it yet.
"""


def require_clock(plex: str) -> None:
    """PlexError if the clock says that no certificate of `plex` is valid."""
    if fault := clock_fault(plex):
        raise PlexError(fault, hint=SET_CLOCK)


def require_host_clocks(plex: str, states: Iterable[HostState]) -> None:
    """PlexError if the clock of a host says that no certificate of `plex` is valid."""
    faults = [
        fault
        for state in states
        if (fault := host_clock_fault(state.host, state.clock_offset, plex))
    ]
    if faults:
        raise PlexError(faults[0], details=faults[1:], hint=SET_HOST_CLOCK)


def clock_notes(states: Iterable[HostState]) -> tuple[str, ...]:
    """A sentence for each host whose clock differs from this machine's by more than TOLERANCE."""
    notes = (clock_note(state.host, state.clock_offset) for state in states)
    return tuple(note for note in notes if note)


def clock_note(host: str, offset: float) -> str | None:
    """A sentence if the clock of a host differs by more than TOLERANCE; else None.

    `offset` are the seconds by which it is ahead of this machine's.
    """
    if abs(offset) <= TOLERANCE:
        return None
    return f"the clock of host {host} is {_difference(offset)} this machine's"


def _difference(seconds: float) -> str:
    """ "61 minutes ahead of", for a clock that is ahead by `seconds`."""
    minutes = round(abs(seconds) / 60)
    amount = f"{minutes} minutes" if minutes < 180 else f"{round(minutes / 60)} hours"
    if minutes >= 72 * 60:
        amount = f"{round(minutes / 60 / 24)} days"
    return f"{amount} {'ahead of' if seconds > 0 else 'behind'}"
