"""The parts of a drawn timeline: phases of nodes, and lanes that many nodes share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from plexctl.observe.timeline import NodeLine, Timeline, in_order, median


class Phase(StrEnum):
    """The state of a node between two instants."""

    DELETING = "deleting"
    CREATING = "creating"
    WAITING = "waiting"
    BOOTING = "booting"
    JOINING = "registering"
    SETTLING = "becoming Ready"


ENDS = {
    "gone": Phase.DELETING,
    "created": Phase.CREATING,
    "pushed": Phase.CREATING,
    "starting": Phase.WAITING,
    "started": Phase.BOOTING,
    "agent": Phase.BOOTING,
    "init": Phase.BOOTING,
    "booted": Phase.BOOTING,
    "containerd": Phase.BOOTING,
    "kubelet": Phase.BOOTING,
    "registered": Phase.JOINING,
    "ready": Phase.SETTLING,
}
"""The phase that ends with an instant."""

BEGINS = {"gone": "leaving", "created": "creating"}
"""The instant at which a phase begins, if no other phase ends there."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase of a node. `began` and `ended` are seconds since the run began."""

    phase: Phase
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One node, or several consecutive nodes."""

    label: str  # "demo1", "demo2-5"
    nodes: tuple[NodeLine, ...]


def bars(node: NodeLine, until: float | None = None) -> tuple[Bar, ...]:
    """The phases of a node. Each begins where the one before it ends.

    `until` is the end of a run that ended before the node was Ready: the last phase ends there.
    """
    found: list[Bar] = []
    begin: float | None = None
    last = ""
    for what, phase in ENDS.items():
        at = node.at(what)
        if at is None:
            continue
        if what in BEGINS:
            begin = node.at(BEGINS[what])
        _add(found, phase, begin, at)
        begin, last = max(at, begin or 0.0), what
    if until is not None and last not in ("", "gone", "ready"):
        names = tuple(ENDS)
        _add(found, ENDS[names[names.index(last) + 1]], begin, until)
    return tuple(found)


def _add(found: list[Bar], phase: Phase, begin: float | None, at: float) -> None:
    if begin is None or at <= begin:
        return
    if found and found[-1].phase is phase and found[-1].ended == begin:
        begin = found.pop().began
    found.append(Bar(phase, begin, at))


def lanes(line: Timeline, most: int) -> tuple[Lane, ...]:
    """At most `most` lanes for the nodes that the run changed: the master has a lane to itself."""
    nodes = line.touched
    if len(nodes) <= most:
        return tuple(Lane(node.name, (node,)) for node in nodes)
    first = next((n for n, node in enumerate(nodes) if node.at("api") is not None), None)
    alone = [] if first is None else [nodes[first]]
    others = [node for n, node in enumerate(nodes) if n != first]
    size = -(-len(others) // (most - len(alone)))
    groups = [tuple(others[n : n + size]) for n in range(0, len(others), size)]
    return (
        *(Lane(node.name, (node,)) for node in alone),
        *(Lane(label(group), group) for group in groups),
    )


def typical(lane: Lane) -> NodeLine:
    """One node for a lane: the median of each instant of the lane's nodes."""
    return lane.nodes[0] if len(lane.nodes) == 1 else combined(lane.label, lane.nodes, median)


def combined(
    name: str, nodes: Sequence[NodeLine], pick: Callable[[Sequence[float]], float]
) -> NodeLine:
    """A node called `name`. `pick` chooses the time of each instant from those of `nodes`."""
    times: dict[str, list[float]] = {}
    for node in nodes:
        for one in node.instants:
            times.setdefault(one.name, []).append(one.at)
    chosen = in_order({what: pick(found) for what, found in times.items()})
    return NodeLine(name, nodes[0].host, nodes[0].action, chosen)


def label(nodes: Sequence[NodeLine]) -> str:
    """ "demo2-5", or the first and the last name."""
    first, last = nodes[0].name, nodes[-1].name
    if len(nodes) == 1:
        return first
    # The name of a plex may contain digits too: those at the end are the number of the node.
    (stem, number), (other, end) = (re.findall(r"(.*?)(\d*)$", name)[0] for name in (first, last))
    return f"{first}-{end}" if stem == other and number else f"{first} … {last}"


def ticks(end: float, most: int) -> tuple[float, ...]:
    """Round numbers of seconds from 0 to at most `end`; at most `most` of them."""
    steps = (m * 10**e for e in range(-1, 8) for m in (1, 2, 5))
    step = next(s for s in steps if end / s <= most - 1)
    return tuple(round(n * step, 1) for n in range(int(end / step) + 1))
