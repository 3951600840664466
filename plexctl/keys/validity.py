"""When the certificates of labs are valid: fixed dates, the same for every lab."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""A fixed date in the past: neither the day of a run nor a slow clock of a node matters."""

CA_NOT_AFTER = NOT_BEFORE.replace(year=2046)
"""A kubeconfig works as long as its lab exists: a new `epoch` rotates keys, time does not."""

LEAF_NOT_AFTER = NOT_BEFORE.replace(year=2036)
"""kubeadm's one year needs renewals: renewed certificates differ from those of a new node."""

SET_HOST_CLOCK = "set the clock of that machine: `timedatectl set-ntp true`, or `date -s`"


def host_clock_fault(host: str, offset: float, whose: str = "this lab") -> str | None:
    """Why a host accepts no certificate of `whose`; None if it does.

    `offset` are the seconds by which its clock is ahead of this machine's.
    """
    now = datetime.now(UTC) + timedelta(seconds=offset)
    return clock_fault(whose, now, f"the clock of host {host}")


def clock_fault(
    plex: str, now: datetime | None = None, clock: str = "this machine's clock"
) -> str | None:
    """Why no certificate of `plex` is valid at `now` (default: the time of this machine's clock).

    `clock` is the one that says so. None if they are valid.
    """
    now = now or datetime.now(UTC)
    if NOT_BEFORE <= now <= LEAF_NOT_AFTER:
        return None
    early = now < NOT_BEFORE
    span = f"{'begin' if early else 'end'} on {NOT_BEFORE if early else LEAF_NOT_AFTER:%Y-%m-%d}"
    return f"{clock} says {now:%Y-%m-%d}, and the certificates of {plex} {span}"
