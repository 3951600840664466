"""Nodes of a run on a terminal: the state of each node, and since when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.text import Text

from plexctl.model.nodes import natural
from plexctl.model.resources import Key, Kind
from plexctl.observe.timeline import LIFE
from plexctl.render.lines import duration

WAITS, READY, GONE = "waits", "Ready", "gone"

DOING = {
    "": WAITS,
    "leaving": "is deleted",
    "gone": WAITS,
    "creating": "is created",
    "created": "receives files",
    "pushed": "waits to start",
    "starting": "starts",
    "started": "boots",
    "agent": "boots",
    "api": "the API answers",
    "registered": "becomes Ready",
    "ready": READY,
}
"""The state of a node after its last recorded instant."""

_RANK = {what: n for n, what in enumerate(LIFE) if what in DOING}
_DONE = (READY, GONE)
_IDLE = (WAITS, DOING["pushed"])


@dataclass(slots=True)
class _Node:
    action: str
    since: float  # time.monotonic()
    last: str = ""
    at: float = 0.0  # seconds since the run began

    @property
    def doing(self) -> str:
        return GONE if (self.last, self.action) == ("gone", "delete") else DOING[self.last]


@dataclass(slots=True)
class Nodes:
    """The states of nodes. Nodes that the run does not change are not shown.

    Until `intend` is called, every node with an instant is shown.
    """

    _nodes: dict[str, _Node] = field(default_factory=dict)
    _intended: bool = False

    def intend(self, changes: Mapping[str, str], now: float) -> None:
        for key, text in changes.items():
            found = Key.parse(key)
            if found.kind is Kind.INSTANCE:
                self._nodes[found.name] = _Node(text.partition(":")[0], now)
        self._intended = True

    def mark(self, name: str, what: str, at: float, now: float) -> None:
        if self._intended and name not in self._nodes:
            return
        node = self._nodes.setdefault(name, _Node("", now))
        # An instant that is earlier in LIFE than the last one says nothing about the present state.
        if _RANK.get(what, -1) > _RANK.get(node.last, -1):
            node.last, node.at, node.since = what, at, now

    def lines(self, now: float, room: int) -> list[Text]:
        """One line per node if there is room; else only busy nodes, and one line for the rest.

        Sorted by name, so that lines keep their places.
        """
        names = sorted(self._nodes, key=natural)
        if len(names) <= room:
            return [self._line(name, now, self._width(names)) for name in names]
        if room < 1:
            return []
        busy = [name for name in names if self._nodes[name].doing not in (*_DONE, *_IDLE)]
        shown = busy[: room - 1]
        rest = [name for name in names if name not in set(shown)]
        return [*(self._line(name, now, self._width(names)) for name in shown), self._sum(rest)]

    def _line(self, name: str, now: float, width: int) -> Text:
        node = self._nodes[name]
        done, idle = node.doing in _DONE, node.doing in _IDLE
        sign, style = ("✓", "green") if done else ("·", "dim") if idle else (">", "cyan")
        line = Text(no_wrap=True).append(f"  {sign} ", style).append(f"{name:{width}} ")
        line.append(f"{node.doing:15} ", "dim" if idle else "")
        return line.append(f"at {duration(node.at)}" if done else duration(now - node.since), "dim")

    def _sum(self, names: Iterable[str]) -> Text:
        """ "and 40 more: 20 Ready, 12 boots, 8 waits", sorted by progress."""
        counted = Counter(self._nodes[name].doing for name in names)
        order = [GONE, *reversed(DOING.values())]
        states = ", ".join(
            f"{counted[doing]} {doing}" for doing in dict.fromkeys(order) if counted[doing]
        )
        shown = counted.total() < len(self._nodes)
        head = f"and {counted.total()} more" if shown else f"{counted.total()} nodes"
        return Text(f"  {head}: {states}", "dim", no_wrap=True)

    @staticmethod
    def _width(names: Iterable[str]) -> int:
        return max(map(len, names), default=0)
