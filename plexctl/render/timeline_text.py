"""Timelines as text that fits 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from plexctl.model.events import Outcome
from plexctl.observe.lanes import Phase, bars, combined, lanes, ticks, typical
from plexctl.observe.timeline import Ending, NodeLine, PhaseLine, StepLine, Timeline, median
from plexctl.render.lines import SIGNS, duration
from plexctl.render.tables import count, table
from plexctl.results.runs import RunsResult

WIDTH = 80
TITLE = 44
ROWS = 24
"""At most this many nodes have a line each; more are summarized."""

LAST = 3
"""Of many nodes, this many that became Ready last have a line each."""

COLUMNS = {
    "GONE": "gone",
    "CREATED": "created",
    "PUSHED": "pushed",
    "STARTED": "started",
    "BOOTED": "booted",
    "CONTAINERD": "containerd",
    "KUBELET": "kubelet",
    "REGISTERED": "registered",
    "READY": "ready",
}
MILESTONES = {
    "api": "the API answers",
    "rbac": "the API has its first roles",
    "kubeadm": "the master is complete",
    "ready": "all nodes are Ready",
    "dns": "DNS answers",
    "apps": "the apps are ready",
}
SHADES = {
    Phase.DELETING: "─",
    Phase.CREATING: "░",
    Phase.WAITING: "·",
    Phase.BOOTING: "▒",
    Phase.JOINING: "▓",
    Phase.SETTLING: "█",
}


def runs_text(result: RunsResult) -> str:
    """One line for each run, the newest last."""
    if not result.runs:
        return "no recorded run"
    rows = [
        (row.run, row.verb, row.plex, row.ending, duration(row.seconds), str(row.nodes or ""))
        for row in result.runs
    ]
    return table(("RUN", "VERB", "PLEX", "", "TOOK", "NODES"), rows)


def timeline_text(line: Timeline) -> str:
    """Steps, milestones, a table of nodes and a chart of their phases."""
    title = "\n".join(_wrapped(part) for part in head(line))
    blocks = [title, _steps(line), _phases(line), _milestones(line), _nodes(line), _chart(line)]
    if line.details:
        blocks.append(_containers(line))
    elif line.touched and line.ending is Ending.OPEN:
        blocks.append("for times inside of the nodes: `plexctl timeline --inside`")
    blocks.append("\n".join(_wrapped(f"note: {note}") for note in notes(line)))
    return "\n\n".join(block for block in blocks if block)


def head(line: Timeline) -> tuple[str, str, str]:
    """Verb, plex and ending; the run's name; when it began."""
    ended = f"failed after {line.seconds:.1f} s: {line.error}"
    if line.ending is Ending.DONE:
        ended = f"done after {line.seconds:.1f} s"
    elif line.ending is Ending.OPEN:
        ended = f"unfinished; the last recorded event is at {line.seconds:.1f} s"
    loaded = (
        f", after loading for {duration(line.load_seconds)}"
        if line.load_seconds is not None
        else ""
    )
    when = f"began {line.began[:10]} {line.began[11:19]} UTC{loaded}"
    return f"{line.verb} of {line.plex}: {ended}", line.run, when


def notes(line: Timeline) -> tuple[str, ...]:
    """Notes of the run, and notes on details that the timeline leaves out."""
    found = list(line.notes)
    stayed = len(line.nodes) - len(line.touched)
    if stayed and line.touched:
        found.append(f"{count(stayed, 'node')} more, which the run did not change")
    if line.unreadable_lines:
        found.append(f"{count(line.unreadable_lines, 'line')} of the journal cannot be parsed")
    return tuple(found)


def seconds(at: float | None) -> str:
    """ "7.13", or "" for None."""
    return "" if at is None else f"{at:.2f}"


def _steps(line: Timeline) -> str:
    if not line.steps:
        return ""
    end = max([line.seconds, *(step.ended or 0.0 for step in line.steps)])
    width = min(TITLE, max(len(step_title(step)) for step in line.steps))
    room = WIDTH - width - 20
    rows = [f"  {'STEP':{width}}      AT    TOOK"]
    for step in line.steps:
        ended = end if step.ended is None else step.ended
        sign = SIGNS.get(step.outcome, "…")
        title = textwrap.shorten(step_title(step), width, placeholder=" …")
        bar = _bar([("━", step.began, ended)], end, room)
        numbers = f"{seconds(step.began):>8}{seconds(ended - step.began):>8}"
        rows.append(f"{sign} {title:{width}}{numbers}  {bar}".rstrip())
    return "\n".join(rows)


def step_title(step: StepLine) -> str:
    """The title of a step with its result. The head shows why a step failed."""
    succeeded = step.text and step.outcome != Outcome.FAILED
    return f"{step.title}: {step.text}" if succeeded else step.title


def _phases(line: Timeline) -> str:
    """The phases, with the state of those that are not done."""
    if not line.phases:
        return ""
    found = (
        one.name if one.state == "done" else f"{one.name} ({phase_state(one)})"
        for one in line.phases
    )
    return _wrapped(f"phases: {', '.join(found)}")


def phase_state(phase: PhaseLine) -> str:
    return "unfinished" if phase.ended is None else phase.state


def _milestones(line: Timeline) -> str:
    return "\n".join(f"{one.at:8.2f}  {MILESTONES[one.name]}" for one in line.milestones)


def _nodes(line: Timeline) -> str:
    nodes = line.touched
    if not nodes:
        return ""
    rows = [(node.name, node) for node in nodes]
    if len(nodes) > ROWS:
        rows = _summed(nodes)
    heads = [name for name, what in COLUMNS.items() if any(n.at(what) is not None for n in nodes)]
    cells = [[name, *(seconds(node.at(COLUMNS[head])) for head in heads)] for name, node in rows]
    widths = [max(map(len, column)) for column in zip(["NODE", *heads], *cells, strict=True)]
    return "\n".join(
        " ".join(
            f"{cell:{'<' if n == 0 else '>'}{widths[n]}}" for n, cell in enumerate(row)
        ).rstrip()
        for row in (["NODE", *heads], *cells)
    )


def _summed(nodes: Sequence[NodeLine]) -> list[tuple[str, NodeLine]]:
    """The master; first, median and last time of all workers; and the workers that were last."""
    masters = [node for node in nodes if node.at("api") is not None]
    others = [node for node in nodes if node not in masters]
    late = sorted(others, key=lambda node: node.at("ready") or float("inf"))[-LAST:]
    of: dict[str, Callable[[Sequence[float]], float]] = {
        "first": min,
        "median": median,
        "last": max,
    }
    return [
        *((node.name, node) for node in masters),
        *((f"{name} of {len(others)}", combined(name, others, pick)) for name, pick in of.items()),
        *((node.name, node) for node in late),
    ]


def _chart(line: Timeline) -> str:
    shown = [(lane.label, typical(lane)) for lane in lanes(line, ROWS)]
    until = None if line.ending is Ending.DONE else line.seconds
    drawn = [(name, bars(node, until)) for name, node in shown]
    end = max((bar.ended for _, found in drawn for bar in found), default=0.0)
    if not end:
        return ""
    wide = max(len(name) for name, _ in drawn) + 1
    room = WIDTH - wide - 1
    rows = [f"{'':{wide}}{_axis(end, room)}"]
    for name, found in drawn:
        parts = [(SHADES[bar.phase], bar.began, bar.ended) for bar in found]
        rows.append(f"{name:{wide}}{_bar(parts, end, room)}".rstrip())
    used = set("".join(row[wide:] for row in rows[1:]))
    rows.append("  ".join(f"{shade} {phase}" for phase, shade in SHADES.items() if shade in used))
    return "\n".join(rows)


def _axis(end: float, room: int) -> str:
    text = ""
    for tick in ticks(end, 8):
        place = int(tick / end * (room - 1))
        text = f"{text:{place}}{tick:g}" + (" s" if tick == 0 else "")
    return text[:room]


def _bar(parts: Sequence[tuple[str, float, float]], end: float, room: int) -> str:
    """Draw each part with at least one character, unless a later part covers it."""
    cells = [" "] * room
    for shade, began, ended in parts:
        first = min(int(began / end * room), room - 1) if end else 0
        last = max(first + 1, round(ended / end * room)) if end else 1
        cells[first:last] = [shade] * (min(last, room) - first)
    return "".join(cells).rstrip()


def _containers(line: Timeline) -> str:
    """When the containers of each node started; with many nodes, only the master's."""
    nodes = [node for node in line.touched if node.containers]
    if len(nodes) > ROWS:
        nodes = [node for node in nodes if node.at("api") is not None]
    rows = []
    for node in nodes:
        started = ", ".join(f"{one.name} {one.at:.2f}" for one in node.containers)
        rows.append(_wrapped(f"{node.name}: {started}"))
    return "\n".join(["containers started", *rows]) if rows else ""


def _wrapped(text: str) -> str:
    """Wrap lines, but not within commands and names."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
