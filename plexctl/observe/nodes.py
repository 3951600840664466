"""Details of a run that only its nodes record: times of systemd units and containers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.observe.timeline import Container, NodeLine, Timeline, in_order

PARALLEL = 8
"""Nodes that are read at the same time."""

BOOT = 60.0
"""Seconds. If systemd began later than this after the node's start, the node was rebooted."""

TRIES = 2
"""Attempts: a busy systemd may not answer the first one."""

LATER = 300.0
"""Seconds after the node's start and after the run. Later instants do not belong to the run."""

SCRIPT = """\
export LC_ALL=C TZ=UTC
echo now=$(date +%s.%N)
systemctl show --timestamp=us+utc --property=UserspaceTimestamp
for unit in plex-boot containerd kubelet plex-node; do
    echo unit=$unit
    systemctl show --timestamp=us+utc --property=ActiveEnterTimestamp,ActiveExitTimestamp $unit
done
echo unit=
echo kubeadm=$(journalctl --unit=plex-node _COMM=kubeadm --output=short-unix --no-pager --quiet \
    2>/dev/null | head -n 1 | cut -d ' ' -f 1)
stat --format='log=%w %n' /var/log/pods/*/*/*.log 2>/dev/null
true
"""
"""Prints lines `key=value`. The birth of a container's first log is the container's start."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)")
_LOG = re.compile(r"/var/log/pods/([^/_]+)_([^/_]+)_[^/]+/([^/]+)/")


class Executor(Protocol):
    """A host that can run a program on its nodes."""

    def execute(self, name: str, argv: tuple[str, ...]) -> CommandResult: ...


@dataclass(frozen=True, slots=True)
class NodeDetails:
    """Records of one node: instants and containers, in seconds since the run began."""

    instants: Mapping[str, float] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()


def read(
    line: Timeline,
    executors: Mapping[str, Executor],
    *,
    clock: Callable[[], float] = time.time,
) -> tuple[dict[str, NodeDetails], tuple[str, ...]]:
    """Read details from each node of `executors` (by node).

    Returns the details by node, and a note for each node from which they could not be read.
    """
    began = datetime.fromisoformat(line.began).timestamp()

    def read_node(name: str) -> tuple[str, NodeDetails | str]:
        node = next(one for one in line.nodes if one.name == name)
        found: NodeDetails | str = ""
        for _ in range(TRIES):
            asked = clock()
            try:
                done = executors[name].execute(name, ("sh", "-c", SCRIPT))
            except PlexError as error:
                found = f"{name}: {error.summary}"
                continue
            found = of_this_boot(node, parse(done.stdout, began, asked, clock()), line.seconds)
            if isinstance(found, NodeDetails):
                break
        return name, found

    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        answers = list(pool.map(read_node, executors))
    details = {name: answer for name, answer in answers if isinstance(answer, NodeDetails)}
    return details, tuple(answer for _, answer in answers if isinstance(answer, str))


def parse(text: str, began: float, asked: float, answered: float) -> NodeDetails:
    """Parse the output of SCRIPT. `began`, `asked` and `answered` are seconds of the local clock.

    If the node's clock differs by more than the call took, its times are corrected by the offset.
    """
    unit, now = "", None
    moments: dict[str, float] = {}
    started: dict[tuple[str, str], float] = {}
    for key, _, value in (line.partition("=") for line in text.splitlines()):
        match key:
            case "now":
                now = _number(value)
            case "unit":
                unit = value
            case "kubeadm":
                _put(moments, "rbac", _number(value))
            case "UserspaceTimestamp":
                _put(moments, "init", _moment(value))
            case "ActiveEnterTimestamp" if unit != "plex-node":
                _put(moments, "booted" if unit == "plex-boot" else unit, _moment(value))
            case "ActiveExitTimestamp" if unit == "plex-node":
                _put(moments, "kubeadm", _moment(value))
            case "log":
                _put_first(started, value)
    offset = _offset(now, asked, answered) + began
    containers = (
        Container(pod, name, round(at - offset, 3)) for (pod, name), at in started.items()
    )
    return NodeDetails(
        {what: round(at - offset, 3) for what, at in moments.items()},
        tuple(sorted(containers, key=lambda one: (one.at, one.name))),
    )


def of_this_boot(node: NodeLine, details: NodeDetails, ended: float) -> NodeDetails | str:
    """The details that belong to the run; a note if the node was restarted since."""
    started, began = node.at("started"), details.instants.get("init")
    if began is None:
        return f"{node.name}: systemd does not report when it began"
    if started is None or not -BOOT < began - started < BOOT:
        return f"{node.name}: restarted since"
    limit = max(ended, started) + LATER
    return NodeDetails(
        {what: at for what, at in details.instants.items() if at <= limit},
        tuple(one for one in details.containers if one.at <= limit),
    )


def with_details(line: Timeline, details: Mapping[str, NodeDetails]) -> Timeline:
    """The timeline with details of its nodes."""
    nodes = []
    for node in line.nodes:
        inside = details.get(node.name, NodeDetails())
        marks = {**inside.instants, **{one.name: one.at for one in node.instants}}
        nodes.append(replace(node, instants=in_order(marks), containers=inside.containers))
    return replace(line, nodes=tuple(nodes), details=bool(details))


def to_json(details: Mapping[str, NodeDetails]) -> str:
    return json.dumps({name: asdict(inside) for name, inside in details.items()}) + "\n"


def from_json(text: str) -> dict[str, NodeDetails]:
    """Parse the output of `to_json`. ValueError, KeyError or TypeError for any other text."""
    return {
        name: NodeDetails(
            {str(what): float(at) for what, at in found["instants"].items()},
            tuple(Container(one["pod"], one["name"], one["at"]) for one in found["containers"]),
        )
        for name, found in json.loads(text).items()
    }


def _put(moments: dict[str, float], what: str, at: float | None) -> None:
    if at is not None and what:
        moments[what] = at


def _put_first(started: dict[tuple[str, str], float], value: str) -> None:
    """Keep the oldest log: a container that was restarted has several."""
    at, log = _moment(value), _LOG.search(value)
    if at is not None and log is not None:
        key = (f"{log[1]}/{log[2]}", log[3])
        started[key] = min(at, started.get(key, at))


def _moment(text: str) -> float | None:
    """Unix time of "Sat 2026-11-21 15:48:57.266863 UTC"; None for "" and "-"."""
    found = _MOMENT.search(text)
    if found is None:
        return None
    day, hours = found.groups()
    whole, _, fraction = hours.partition(".")
    moment = datetime.strptime(f"{day} {whole}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{fraction or 0}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _offset(now: float | None, asked: float, answered: float) -> float:
    """Seconds between a node's clock and ours; 0 if the call lasted longer than that."""
    if now is None or asked <= now <= answered:
        return 0.0
    return now - (asked + answered) / 2
