"""What went on inside of a run's nodes, which its journal cannot know: asked of the nodes once."""

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
"""Nodes that are asked at the same time."""

BOOT = 60.0
"""Seconds. A system that began later than this after its start is another boot of the node."""

TRIES = 2
"""A systemd that is busy may leave the first question without an answer."""

LATER = 300.0
"""Seconds after its start and after the run; what is later has nothing to do with the run."""

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
"""Prints lines `key=value`. A container's first log is as old as the container."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)")
_LOG = re.compile(r"/var/log/pods/([^/_]+)_([^/_]+)_[^/]+/([^/]+)/")


class Executor(Protocol):
    """A host that can run a program in one of its nodes."""

    def execute(self, name: str, argv: tuple[str, ...]) -> CommandResult: ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What one node told: instants and containers, in seconds since the run began."""

    instants: Mapping[str, float] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()


def read(
    line: Timeline,
    executors: Mapping[str, Executor],
    *,
    clock: Callable[[], float] = time.time,
) -> tuple[dict[str, Inside], tuple[str, ...]]:
    """Ask each node of `executors` (by node); what they told, and a note for each that did not."""
    began = datetime.fromisoformat(line.began).timestamp()

    def ask(name: str) -> tuple[str, Inside | str]:
        node = next(one for one in line.nodes if one.name == name)
        told: Inside | str = ""
        for _ in range(TRIES):
            asked = clock()
            try:
                done = executors[name].execute(name, ("sh", "-c", SCRIPT))
            except PlexError as error:
                told = f"{name}: {error.summary}"
                continue
            told = of_this_boot(node, parse(done.stdout, began, asked, clock()), line.seconds)
            if isinstance(told, Inside):
                break
        return name, told

    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        answers = list(pool.map(ask, executors))
    told = {name: answer for name, answer in answers if isinstance(answer, Inside)}
    return told, tuple(answer for _, answer in answers if isinstance(answer, str))


def parse(text: str, began: float, asked: float, answered: float) -> Inside:
    """What SCRIPT printed. `began`, `asked` and `answered` are seconds of the local clock.

    A node whose clock is off by more than the answer took is put right by what it is off.
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
    off = _off(now, asked, answered) + began
    containers = (Container(pod, name, round(at - off, 3)) for (pod, name), at in started.items())
    return Inside(
        {what: round(at - off, 3) for what, at in moments.items()},
        tuple(sorted(containers, key=lambda one: (one.at, one.name))),
    )


def of_this_boot(node: NodeLine, inside: Inside, ended: float) -> Inside | str:
    """What belongs to the run; a sentence if the node has been started anew since."""
    started, began = node.at("started"), inside.instants.get("init")
    if began is None:
        return f"{node.name}: its systemd does not say when it began"
    if started is None or not -BOOT < began - started < BOOT:
        return f"{node.name}: it was started anew since"
    limit = max(ended, started) + LATER
    return Inside(
        {what: at for what, at in inside.instants.items() if at <= limit},
        tuple(one for one in inside.containers if one.at <= limit),
    )


def with_inside(line: Timeline, told: Mapping[str, Inside]) -> Timeline:
    """The timeline with what its nodes told."""
    nodes = []
    for node in line.nodes:
        inside = told.get(node.name, Inside())
        marks = {**inside.instants, **{one.what: one.at for one in node.instants}}
        nodes.append(replace(node, instants=in_order(marks), containers=inside.containers))
    return replace(line, nodes=tuple(nodes), inside=bool(told))


def to_json(told: Mapping[str, Inside]) -> str:
    return json.dumps({name: asdict(inside) for name, inside in told.items()}) + "\n"


def from_json(text: str) -> dict[str, Inside]:
    """ValueError, KeyError or TypeError for what `to_json` has not written."""
    return {
        name: Inside(
            {str(what): float(at) for what, at in found["instants"].items()},
            tuple(Container(one["pod"], one["name"], one["at"]) for one in found["containers"]),
        )
        for name, found in json.loads(text).items()
    }


def _put(moments: dict[str, float], what: str, at: float | None) -> None:
    if at is not None and what:
        moments[what] = at


def _put_first(started: dict[tuple[str, str], float], value: str) -> None:
    """A container that was started anew has several logs."""
    at, log = _moment(value), _LOG.search(value)
    if at is not None and log is not None:
        key = (f"{log[1]}/{log[2]}", log[3])
        started[key] = min(at, started.get(key, at))


def _moment(text: str) -> float | None:
    """Seconds of "Sat 2026-11-21 15:48:57.266863 UTC"; None for none, as "" and "-"."""
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


def _off(now: float | None, asked: float, answered: float) -> float:
    """How far a node's clock is ahead of ours, where that is more than could be the way."""
    if now is None or asked <= now <= answered:
        return 0.0
    return now - (asked + answered) / 2
