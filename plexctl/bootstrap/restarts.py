"""Units of late nodes that restart for ever: no wait helps against a file that they cannot read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from plexctl.errors import PlexError
from plexctl.model.host import Host
from plexctl.model.plex import Node

LATE = 10.0
"""Seconds without progress after which nodes are looked at; most clusters are complete by then."""

EVERY, SOON = 10.0, 3.0
"""Seconds between two looks, and until the second one at a unit that has restarted."""

OFTEN = 3
"""A unit that has restarted so often, and does it again until the second look, does it for ever."""

LOOKED_AT = 3
"""Nodes in one look: one call of their hosts for each."""

UNITS = ("plex-boot", "containerd", "kubelet", "plex-node")

ERRORS = """
# What the programs of a unit have written, without systemd's own lines about restarts.
last_errors() {
  lines=$(journalctl _SYSTEMD_UNIT=$1.service -n 400 -o cat --no-pager)
  errors=$(echo "$lines" | grep -E '^[EF][0-9]{4} |level=(error|fatal)|^[Ee]rror' | tail -n 4)
  echo "${errors:-$(echo "$lines" | tail -n 4)}" | grep .
}
"""
"""A function that prints the last four errors of a unit, or its last four lines if it has none.
Lines of errors are those of Kubernetes and of containerd."""

RESTARTS = f"""
for unit in {" ".join(UNITS)}; do
  echo "$unit $(systemctl show --property=NRestarts --value $unit)"
done
"""


@dataclass(slots=True)
class Restarts:
    """Looks at the units of nodes that are late, while somebody waits for them.

    In a run in which all goes well it makes no call: it begins only after LATE seconds in which
    nothing has become different.
    """

    hosts: Mapping[str, Host]
    hint: Callable[[Node], str]
    now: Callable[[], float] = time.monotonic
    _progress: object = None
    _next: float | None = None
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def look(self, late: Sequence[Node], progress: object) -> None:
        """PlexError with its last errors if a unit of a late node restarts again and again.

        `progress` is what has been reached; it differs as soon as anything goes on.
        """
        now = self.now()
        if self._next is None or progress != self._progress:
            self._progress, self._next = progress, now + LATE
        if now < self._next:
            return
        self._next = now + EVERY  # for other threads that wait, too
        counts = {
            (node.name, unit): count
            for node in late[:LOOKED_AT]
            for unit, count in _restarts(self.hosts[node.host], node).items()
        }
        before, self._counts = self._counts, counts
        nodes = {node.name: node for node in late}
        for (name, unit), count in counts.items():
            if count >= OFTEN and count > before.get((name, unit), count):
                raise self._error(nodes[name], unit)
        if any(counts.values()):
            self._next = now + SOON

    def _error(self, node: Node, unit: str) -> PlexError:
        lines = _run(self.hosts[node.host], node, f"{ERRORS}last_errors {unit}")
        return PlexError(
            f"{unit} of {node.name} ends and restarts again and again",
            # The same error of each start differs in what is before it: time and process.
            details=tuple({line.partition("] ")[2] or line: line for line in lines}.values()),
            hint=self.hint(node),
        )


def _restarts(host: Host, node: Node) -> dict[str, int]:
    """How often systemd has restarted each unit. Empty if the node cannot say so yet."""
    words = [line.split() for line in _run(host, node, RESTARTS)]
    return {one[0]: int(one[1]) for one in words if len(one) == 2 and one[1].isdecimal()}


def _run(host: Host, node: Node, script: str) -> list[str]:
    try:
        return host.execute(node.name, ("sh", "-c", script)).stdout.splitlines()
    except PlexError:
        return []
