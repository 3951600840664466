"""Repair the nodes that interrupted runs have left: node objects that are gone, or cordoned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.clients.kube.client import Kube
from plexctl.model.condition import Clock
from plexctl.model.host import Host
from plexctl.model.plex import Node
from plexctl.provision.change import Change
from plexctl.workflow.core.run import Run

FIRST = 30.0
"""Seconds that a kubelet has, from its start, to register its node."""

EVERY = 1.0
"""Seconds between two looks."""

AGE = (
    "sh",
    "-c",
    "systemctl show --timestamp=unix --property=ActiveEnterTimestamp --value kubelet; date +@%s",
)
"""Prints when kubelet was started, and the time now. The first line is empty if it was not yet."""


def repair_members(
    members: Sequence[Node],
    kube: Kube,
    hosts: Mapping[str, Host],
    run: Run,
    changes: Sequence[Change],
    clock: Clock | None = None,
) -> None:
    """Restart kubelet on nodes that run and have no node object in the cluster.

    A kubelet only registers when it starts. Somebody has deleted the node object: `kubectl`, or a
    plexctl that was killed before it replaced the machine. A kubelet that was started less than
    FIRST seconds ago may still register by itself.

    Nodes that a killed plexctl has cordoned are uncordoned.
    """
    clock = clock or Clock()
    changed = {change.name for change in changes}
    end = clock.now() + FIRST
    left = [node for node in members if node.name not in changed]
    while left:
        found = {node.name: node for node in kube.nodes()}
        for node in left:
            if node.name in found and found[node.name].draining:
                run.note(f"{node.name} was cordoned by an interrupted run: uncordon it")
                kube.uncordon(node.name)
        left = [node for node in left if node.name not in found]
        for node in tuple(left):
            if clock.now() < end and _is_young(hosts[node.host], node.name):
                continue
            run.note(f"{node.name} is not registered in the cluster: restart its kubelet")
            hosts[node.host].execute(node.name, ("systemctl", "restart", "kubelet"))
            left.remove(node)
        if left:
            clock.sleep(EVERY)


def _is_young(host: Host, node: str) -> bool:
    """Whether the kubelet of a node was started less than FIRST seconds ago, or is about to be."""
    times = [line.lstrip("@") for line in host.execute(node, AGE).stdout.split()]
    if not all(time.isdecimal() for time in times):
        return False
    match times:
        case [_]:
            return True
        case [began, now]:
            return 0 <= int(now) - int(began) < FIRST
    return False
