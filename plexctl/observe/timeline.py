"""The timeline of a run, read from its journal. Pure: lines in, values out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from plexctl.model.nodes import natural
from plexctl.model.resources import Key, Kind

LIFE = (
    "leaving",
    "gone",
    "creating",
    "created",
    "pushed",
    "starting",
    "started",
    "agent",  # of a VM
    "init",
    "booted",
    "containerd",
    "kubelet",
    "api",
    "rbac",
    "kubeadm",
    "registered",
    "ready",
    "dns",
    "apps",
)
"""Instants of a node's life, in the order in which they can come."""

CLUSTER = ("api", "rbac", "kubeadm", "dns", "apps")
"""Those that are of the whole plex; the journal has them at its master."""

LATEST = ("dns", "apps")
"""Of these, those that are waited for after whatever has changed."""


class Ending(StrEnum):
    DONE = "done"
    FAILED = "failed"
    OPEN = "unfinished"  # it goes on, or was killed


@dataclass(frozen=True, slots=True)
class Instant:
    """`at` is seconds since the run began."""

    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod that began on a node."""

    pod: str  # "kube-system/etcd-demo1"
    name: str
    at: float


@dataclass(frozen=True, slots=True)
class NodeLine:
    """What happened to one node. `instants` are in order of time."""

    name: str
    host: str
    action: str  # "create", "replace", "start", "delete"; "": it was there and stayed
    instants: tuple[Instant, ...]
    containers: tuple[Container, ...] = ()

    def at(self, what: str) -> float | None:
        return next((one.at for one in self.instants if one.what == what), None)


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step. `ended` is None where the run ended within it."""

    title: str
    began: float
    ended: float | None
    outcome: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the time of a run went. All times are seconds since it began."""

    run: str
    verb: str
    plex: str
    began: str  # date and time in UTC, ISO 8601
    lived: float | None  # seconds that the process took before, to load; None: not recorded
    seconds: float  # until it ended, or until the last that is known of it
    ending: Ending
    error: str
    steps: tuple[StepLine, ...]
    nodes: tuple[NodeLine, ...]
    notes: tuple[str, ...] = ()
    unreadable: int = 0  # lines of the journal
    inside: bool = False  # whether the nodes themselves were asked

    @property
    def touched(self) -> tuple[NodeLine, ...]:
        """Nodes that the run made, started or removed, as a person counts them."""
        return tuple(node for node in self.nodes if node.action)

    @property
    def milestones(self) -> tuple[Instant, ...]:
        """Of the whole plex: the API, what kubeadm builds on, all nodes Ready, DNS, apps.

        Of a master that was there before, only what the run brought about itself.
        """
        found = [
            one
            for node in self.nodes
            for one in node.instants
            if one.what in CLUSTER and (node.action or one.what in LATEST)
        ]
        made = [node for node in self.nodes if node.at("gone") is None or node.at("created")]
        ready = [at for node in made if (at := node.at("ready")) is not None]
        if ready and len(ready) == len(made):
            found.append(Instant("ready", max(ready)))
        return tuple(sorted(found, key=lambda one: (one.at, LIFE.index(one.what))))

    @property
    def end(self) -> float:
        """The last instant of all, which may be after the run where it did not wait."""
        ends = [node.instants[-1].at for node in self.nodes if node.instants]
        ends += [one.at for node in self.nodes for one in node.containers]
        return max([self.seconds, *ends])


@dataclass(slots=True)
class _Draft:
    """What was read so far."""

    began: str = ""
    lived: float | None = None
    last: float = 0.0
    ending: Ending = Ending.OPEN
    error: str = ""
    steps: list[StepLine] = field(default_factory=list)
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    intended: dict[str, tuple[str, str]] = field(default_factory=dict)  # node -> host, action
    notes: list[str] = field(default_factory=list)


def timeline(run: str, lines: Iterable[str]) -> Timeline:
    """The timeline that the journal of `run` tells. What cannot be read is counted, and left."""
    stamp, verb, plex = parts(run)
    draft, unreadable = _Draft(began=stamp.isoformat()), 0
    for line in lines:
        try:
            record = json.loads(line)
            _take(draft, record)
            draft.last = max(draft.last, float(record["at"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            unreadable += 1
    return Timeline(
        run,
        verb,
        plex,
        draft.began,
        draft.lived,
        draft.last,
        draft.ending,
        draft.error,
        tuple(draft.steps),
        _nodes(draft),
        tuple(draft.notes),
        unreadable,
    )


def parts(run: str) -> tuple[datetime, str, str]:
    """When a run began, its verb and its plex. ValueError for what is no identifier of a run."""
    # "20261121T082340.506123-replace-demo": a plex' own name may have dashes too.
    stamp, verb, plex = run.split("-", 2)
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), verb, plex


def _take(draft: _Draft, record: Mapping[str, Any]) -> None:
    match record["event"]:
        case "Began":
            draft.began = datetime.fromisoformat(record["time"]).isoformat()
            draft.lived = record["lived"]
        case "Intended":
            for key, text in dict(record["changes"]).items():
                found = Key.parse(key)
                if found.kind is Kind.INSTANCE:
                    draft.intended[found.name] = (found.host, text.partition(":")[0])
        case "StepBegan":
            draft.steps.append(StepLine(record["title"], float(record["at"]), None, "", ""))
        case "StepEnded":
            _end_step(draft.steps, record)
        case "Marked":
            # The first of its kind: a condition that is waited for twice marks once a wait.
            marks = draft.marks.setdefault(record["node"], {})
            marks.setdefault(record["what"], float(record["at"]))
        case "Noted":
            draft.notes.append(record["text"])
        case "Done":
            draft.ending = Ending.DONE
        case "Failed":
            draft.ending, draft.error = Ending.FAILED, record["text"]


def _end_step(steps: list[StepLine], record: Mapping[str, Any]) -> None:
    for n, step in reversed(list(enumerate(steps))):
        if step.title == record["title"] and step.ended is None:
            steps[n] = StepLine(
                step.title, step.began, float(record["at"]), record["outcome"], record["text"]
            )
            return


def _nodes(draft: _Draft) -> tuple[NodeLine, ...]:
    names = sorted({*draft.marks, *draft.intended}, key=natural)
    lines = []
    for name in names:
        host, action = draft.intended.get(name, ("", ""))
        marks = draft.marks.get(name, {})
        # Other engines tell the begin of nothing: the mark itself says that it was made.
        action = action or ("create" if "created" in marks else "")
        lines.append(NodeLine(name, host, action, in_order(marks)))
    return tuple(lines)


def in_order(marks: Mapping[str, float]) -> tuple[Instant, ...]:
    """Instants by time, and at the same time by what comes first in a node's life."""
    known = {what: n for n, what in enumerate(LIFE)}
    found = (Instant(what, at) for what, at in marks.items())
    return tuple(sorted(found, key=lambda one: (one.at, known.get(one.what, len(LIFE)))))


def median(values: Sequence[float]) -> float:
    """The middle one; the lower of two. `values` must not be empty."""
    return sorted(values)[(len(values) - 1) // 2]
