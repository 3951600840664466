"""Containers on a host with control groups version 1 freeze themselves, before LXC does.

There LXC freezes a container, reads its state at once, and if one process still runs, which is
nearly always so, again only after a second: all nodes would stand still for that second. A
container that is frozen already is found so at the first look. Version 2 reports the moment.
"""

from __future__ import annotations

import io
import threading

from plexctl.clients.incus.connection import IncusConnection
from plexctl.errors import PlexError
from plexctl.model.streams import Streams

STATE = "/sys/fs/cgroup/freezer/freezer.state"
"""The file of a privileged container's own control group. All its processes are in it."""

SCRIPT = f"echo; echo FROZEN > {STATE}"
BEGINS = 2.0
"""Seconds in which the script must begin."""


class _FirstBytes(io.RawIOBase):
    """Sets an event when something is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()

    def write(self, content: object) -> int:
        self.arrived.set()
        return len(content)  # type: ignore[arg-type]


def freeze_itself(connection: IncusConnection, instance: str) -> None:
    """Let an instance freeze all of its processes. LXC does not know it then: freeze it at once.

    It is best effort: an instance that cannot do that is frozen by LXC alone, a second later. The
    program is among the frozen ones, and ends after the instance was thawed.
    """
    said = _FirstBytes()
    threading.Thread(target=_run, args=(connection, instance, said), daemon=True).start()
    said.arrived.wait(BEGINS)


def _run(connection: IncusConnection, instance: str, said: _FirstBytes) -> None:
    from plexctl.clients.incus import streams

    try:
        both = Streams(None, said, said)  # type: ignore[arg-type]
        streams.run(connection, instance, ("sh", "-c", SCRIPT), both, None)
    except PlexError:
        pass  # a VM without an agent, a container without a shell
    finally:
        said.arrived.set()
