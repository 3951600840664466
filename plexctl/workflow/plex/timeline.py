"""The verb `timeline`: finds a run, and asks its nodes what its journal cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plexctl.errors import PlexError, UsageError
from plexctl.model.folder import Folder
from plexctl.model.host import Host
from plexctl.model.lab import CURRENT
from plexctl.model.observed import RUNNING, HostState
from plexctl.model.state import find_state
from plexctl.observe.nodes import NodeDetails, from_json, read, to_json, with_details
from plexctl.observe.timeline import Ending, Timeline, parts, timeline
from plexctl.results.runs import RunRow, RunsResult
from plexctl.workflow.core.journals import JOURNAL, RUNS, runs_in_order
from plexctl.workflow.core.run import inside_file

if TYPE_CHECKING:  # importing clients takes longer than everything else here
    from plexctl.workflow.core.context import Context


def list_runs(state: Path, plex: str | None = None) -> RunsResult:
    """The recorded runs of a lab, or of one plex. `state` is the lab's `.plexctl`."""
    rows = []
    for journal in _journals(state, plex):
        line = timeline(journal.stem, _lines(journal))
        touched = len(line.touched)
        rows.append(
            RunRow(line.run, line.began, line.verb, line.plex, line.ending, line.seconds, touched)
        )
    return RunsResult(tuple(rows))


def find_run(state: Path, run: str | None = None, plex: str | None = None) -> Path:
    """The journal of a run: by its identifier or a unique part of it, or else the last one.

    The last of `plex`, or of the current plex where there is one. UsageError if there is none, or
    more than one has that part.
    """
    if run is None:
        chosen = plex or _current(state)
        journals = _journals(state, chosen)
        if not journals:
            of = f" on {chosen}" if chosen else ""
            raise UsageError(f"no run{of} is recorded", hint="`plexctl timeline --list`")
        return journals[-1]
    found = [journal for journal in _journals(state, plex) if run in journal.stem]
    exact = [journal for journal in found if journal.stem == run]
    if len(exact or found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} runs have {run!r} in their name",
            details=tuple(journal.stem for journal in found[-5:]),
            hint="`plexctl timeline --list` shows them",
        )
    return (exact or found)[0]


def read_run(journal: Path) -> Timeline:
    """A recorded run: its journal, and details of its nodes, if they were read."""
    line = timeline(journal.stem, _lines(journal))
    try:
        return with_details(line, from_json(_read(inside_file(journal)).decode()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return line


def has_unread_details(journal: Path, line: Timeline) -> bool:
    """Whether the nodes of a run may have details that were not read yet.

    A run without an end may still be in progress: reading from its nodes would slow it down.
    """
    started = any(node.at("started") is not None for node in line.touched)
    return started and line.ending is not Ending.OPEN and not inside_file(journal).exists()


def read_nodes(ctx: Context, journal: Path) -> Timeline:
    """The timeline with details that are read from its nodes, and stored for later calls.

    Nodes that no longer run, or that a later run has created, are left out with a note. PlexError
    if no node is left.
    """
    line = timeline(journal.stem, _lines(journal))
    hosts = _hosts_of(line, ctx.hosts)
    states = ctx.engine.read(hosts)
    mine = running_nodes(line, hosts, states)
    details, notes = read(line, mine)
    if not details:
        if not mine and not any(state.unreachable for state in states.values()):
            _store(journal, details)  # these nodes will not come back
        raise PlexError(
            f"no details can be read from nodes of {line.run}",
            details=notes or (f"none of its {len(line.touched)} nodes exists any more",),
            hint="`plexctl timeline --recorded` shows what the run itself recorded",
        )
    _store(journal, details)
    gone = [node.name for node in line.touched if node.name not in mine]
    if gone:
        notes = (f"{len(gone)} of {len(line.touched)} nodes were replaced or deleted since", *notes)
    return replace(with_details(line, details), notes=(*line.notes, *notes))


def running_nodes(
    line: Timeline, hosts: Mapping[str, Host], states: Mapping[str, HostState]
) -> dict[str, Host]:
    """The host of each running node that the run created or started, by node."""
    found = {}
    actions = {node.name: node.action for node in line.touched}
    for host, state in states.items():
        for observed in state.instances.values():
            # A node that was only started keeps the tag of the run that created it.
            of_run = observed.tags.get("run") == line.run or actions.get(observed.name) == "start"
            if observed.name in actions and observed.status == RUNNING and of_run:
                found[observed.name] = hosts[host]
    return found


def _hosts_of(line: Timeline, hosts: Mapping[str, Host]) -> Mapping[str, Host]:
    """The hosts in the journal; all hosts, if its engine recorded none."""
    named = {node.host for node in line.touched}
    return {name: host for name, host in hosts.items() if name in named or "" in named}


def _store(journal: Path, details: Mapping[str, NodeDetails]) -> None:
    file = inside_file(journal)
    _runs(file).write(file.name, to_json(details).encode(), 0o600)


def _journals(state: Path, plex: str | None) -> list[Path]:
    """The journals of all runs, or of those of one plex, in the order of the runs."""
    found = []
    ours = find_state(state)
    for run in runs_in_order(ours.below(RUNS)) if ours else ():
        try:
            _, _, its = parts(run)
        except ValueError:
            continue
        if plex in (None, its):
            found.append(state / RUNS / f"{run}{JOURNAL}")
    return found


def _lines(journal: Path) -> list[str]:
    return _read(journal).decode(errors="replace").splitlines()


def _runs(file: Path) -> Folder:
    """The folder of a journal. UsageError if it is not ours."""
    state = find_state(file.parents[1])
    if state is None:
        raise FileNotFoundError(file)
    return state.below(RUNS)


def _read(file: Path) -> bytes:
    content = _runs(file).read(file.name)
    if content is None:
        raise FileNotFoundError(file)
    return content


def _current(state: Path) -> str | None:
    ours = find_state(state)
    content = ours.read(CURRENT) if ours else None
    return (content or b"").decode(errors="replace").strip() or None
