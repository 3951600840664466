"""The timeline of a run, read from the lines of its journal. Pure."""

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
"""Instants of a node's life, in the order in which they happen."""

CLUSTER = ("api", "rbac", "kubeadm", "dns", "apps")
"""Instants of the whole plex. The journal records them with the master."""

LATEST = ("dns", "apps")
"""Instants of CLUSTER for which every run waits, whatever it has changed."""


MOST_SECONDS = 1e7
"""The longest run: a later time is damaged, or not a number."""


class Ending(StrEnum):
    DONE = "done"
    FAILED = "failed"
    OPEN = "unfinished"  # still running, or killed


@dataclass(frozen=True, slots=True)
class Instant:
    """`at` is seconds since the run began."""

    name: str  # "created"
    at: float


@dataclass(frozen=True, slots=True)
class Container:
    """A container on a node. `at` is when it started."""

    pod: str  # "kube-system/etcd-demo1"
    name: str  # of the container
    at: float


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node in a run. `instants` are in order of time."""

    name: str
    host: str
    action: str  # "create", "replace", "start", "delete"; "": the run did not change it
    instants: tuple[Instant, ...]
    containers: tuple[Container, ...] = ()

    def at(self, name: str) -> float | None:
        return next((one.at for one in self.instants if one.name == name), None)


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step. `ended` is None if the run ended before the step did."""

    title: str
    began: float
    ended: float | None
    outcome: str  # "changed", "unchanged", "failed"; "": it did not end
    text: str  # its result in a few words


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """A phase of a run whose phases can be completed or undone by a later run.

    `ended` is None if the run ended before the phase did.
    """

    name: str  # "freeze"
    state: str  # "began", "done", "failed", "undone"
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps and nodes of a run. All times are seconds since the run began."""

    run: str
    verb: str
    plex: str
    began: str  # date and time in UTC, ISO 8601
    load_seconds: float | None  # from the start of the process to the run; None: unknown
    seconds: float  # until the run ended, or until its last recorded event
    ending: Ending
    error: str  # why it failed
    steps: tuple[StepLine, ...]
    nodes: tuple[NodeLine, ...]
    notes: tuple[str, ...] = ()
    unreadable_lines: int = 0  # of the journal
    details: bool = False  # whether details were read from the nodes
    phases: tuple[PhaseLine, ...] = ()

    @property
    def touched(self) -> tuple[NodeLine, ...]:
        """Nodes that the run created, started or deleted, in natural order."""
        return tuple(node for node in self.nodes if node.action)

    @property
    def milestones(self) -> tuple[Instant, ...]:
        """Instants of the whole plex: the API, its first roles, all nodes Ready, DNS, apps.

        If the run did not change the master, only those of LATEST.
        """
        found = [
            one
            for node in self.nodes
            for one in node.instants
            if one.name in CLUSTER and (node.action or one.name in LATEST)
        ]
        made = [node for node in self.nodes if node.at("gone") is None or node.at("created")]
        ready = [at for node in made if (at := node.at("ready")) is not None]
        if ready and len(ready) == len(made):
            found.append(Instant("ready", max(ready)))
        return tuple(sorted(found, key=lambda one: (one.at, LIFE.index(one.name))))

    @property
    def end(self) -> float:
        """The last instant; it is after the end of a run that did not wait."""
        ends = [node.instants[-1].at for node in self.nodes if node.instants]
        ends += [one.at for node in self.nodes for one in node.containers]
        return max([self.seconds, *ends])


@dataclass(slots=True)
class _Draft:
    """A timeline while its journal is read."""

    began: str = ""
    load_seconds: float | None = None
    last: float = 0.0
    ending: Ending = Ending.OPEN
    error: str = ""
    steps: list[StepLine] = field(default_factory=list)
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    intended: dict[str, tuple[str, str]] = field(default_factory=dict)  # node -> host, action
    notes: list[str] = field(default_factory=list)
    phases: dict[str, PhaseLine] = field(default_factory=dict)


def timeline(run: str, lines: Iterable[str]) -> Timeline:
    """The timeline of `run`. Lines of its journal that cannot be parsed are counted and skipped."""
    stamp, verb, plex = parts(run)
    draft, unreadable = _Draft(began=stamp.isoformat()), 0
    for line in lines:
        try:
            record = json.loads(line)
            at = float(record["at"])
            if not 0 <= at <= MOST_SECONDS:
                raise ValueError("no run lasts so long")
            _take(draft, record, at)
            draft.last = max(draft.last, at)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            unreadable += 1
    return Timeline(
        run,
        verb,
        plex,
        draft.began,
        draft.load_seconds,
        draft.last,
        draft.ending,
        draft.error,
        tuple(draft.steps),
        _nodes(draft),
        tuple(draft.notes),
        unreadable,
        phases=tuple(draft.phases.values()),
    )


def parts(run: str) -> tuple[datetime, str, str]:
    """When a run began, its verb and its plex. ValueError if `run` is not a run's identifier."""
    # "20261121T082340.506123-replace-demo": a plex' own name may have dashes too.
    stamp, verb, plex = run.split("-", 2)
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), verb, plex


def _text(record: Mapping[str, Any], name: str) -> str:
    """A text of a record. TypeError for anything else."""
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a text")
    return value


def _take(draft: _Draft, record: Mapping[str, Any], at: float) -> None:
    match record["event"]:
        case "Began":
            draft.began = datetime.fromisoformat(record["time"]).isoformat()
            draft.load_seconds = None if record["lived"] is None else float(record["lived"])
        case "Intended":
            changes = dict(record["changes"])
            for key in changes:
                found, text = Key.parse(key), _text(changes, key)
                if found.kind is Kind.INSTANCE:
                    draft.intended[found.name] = (found.host, text.partition(":")[0])
        case "StepBegan":
            draft.steps.append(StepLine(_text(record, "title"), at, None, "", ""))
        case "StepEnded":
            _end_step(draft.steps, record, at)
        case "Marked":
            # Keep the first: two waits for the same condition record it twice.
            node, what = _text(record, "node"), _text(record, "what")
            draft.marks.setdefault(node, {}).setdefault(what, at)
        case "Phased":
            _take_phase(draft.phases, _text(record, "phase"), _text(record, "state"), at)
        case "Noted":
            draft.notes.append(_text(record, "text"))
        case "Done":
            draft.ending = Ending.DONE
        case "Failed":
            draft.ending, draft.error = Ending.FAILED, _text(record, "text")


def _take_phase(phases: dict[str, PhaseLine], name: str, state: str, at: float) -> None:
    """What was undone may have been done by an earlier run."""
    if state not in ("began", "done", "failed", "undone"):
        raise ValueError("no phase has this state")
    began = phases[name].began if name in phases and state != "began" else at
    phases[name] = PhaseLine(name, state, began, None if state == "began" else at)


def _end_step(steps: list[StepLine], record: Mapping[str, Any], at: float) -> None:
    outcome, text = _text(record, "outcome"), _text(record, "text")
    for n, step in reversed(list(enumerate(steps))):
        if step.title == record["title"] and step.ended is None:
            steps[n] = StepLine(step.title, step.began, at, outcome, text)
            return


def _nodes(draft: _Draft) -> tuple[NodeLine, ...]:
    names = sorted({*draft.marks, *draft.intended}, key=natural)
    lines = []
    for name in names:
        host, action = draft.intended.get(name, ("", ""))
        marks = draft.marks.get(name, {})
        # Some engines record no intention: then the instant shows that the node was created.
        action = action or ("create" if "created" in marks else "")
        lines.append(NodeLine(name, host, action, in_order(marks)))
    return tuple(lines)


def in_order(marks: Mapping[str, float]) -> tuple[Instant, ...]:
    """Instants sorted by time, and at the same time by their order in LIFE."""
    known = {what: n for n, what in enumerate(LIFE)}
    found = (Instant(what, at) for what, at in marks.items())
    return tuple(sorted(found, key=lambda one: (one.at, known.get(one.name, len(LIFE)))))


def median(values: Sequence[float]) -> float:
    """The middle value; the lower one of two. `values` must not be empty."""
    return sorted(values)[(len(values) - 1) // 2]
