"""Ask before parts of a lab run programs on this machine, once for each state of these parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from plexctl.errors import PlexError, UsageError
from plexctl.workflow.trust.parts import LabPart, PartKind, lab_parts

if TYPE_CHECKING:
    from plexctl.workflow.core.context import Context
    from plexctl.workflow.trust.records import Decision

LISTED = 12
"""Files of a part that are listed at most."""


class FileState(StrEnum):
    TRUSTED, NEW, CHANGED, DELETED = "trusted", "new", "changed", "deleted"


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """A part of a lab, and the state of each of its files by path."""

    part: LabPart
    files: Mapping[str, FileState]

    @property
    def trusted(self) -> bool:
        return all(state is FileState.TRUSTED for state in self.files.values())


def require_trust(ctx: Context, *kinds: PartKind) -> None:
    """Ask the user, unless all parts of `kinds` of the lab are trusted; then store the answer.

    The question lists all parts that are not trusted: a lab asks once. UsageError without a
    terminal, PlexError if the user refuses.
    """
    root = ctx.lab.root
    if all(one.trusted for one in judged_parts(root, kinds)):
        return
    parts = judged_parts(root)
    lines = tuple(question(parts))
    if ctx.approve is None:
        raise UsageError(
            "refusing to run parts of this lab that you have not trusted",
            details=lines,
            hint="read these files, then run `plexctl trust` (`plexctl trust -y` in a script)",
        )
    if not ctx.approve(lines):
        raise PlexError(
            "stopped: you do not trust parts of this lab that would run",
            hint="`plexctl trust --list` lists them",
        )
    trust(root, parts)


def judged_parts(
    root: Path, kinds: Collection[PartKind] = tuple(PartKind)
) -> tuple[JudgedPart, ...]:
    """The parts of `kinds`, compared with the user's decision."""
    parts = lab_parts(root, kinds)
    if not parts:
        return ()
    from plexctl.workflow.trust.records import decision  # few labs have such parts

    decided = decision(root)
    return tuple(JudgedPart(part, _states(part, decided)) for part in parts)


def trust(root: Path, parts: Collection[JudgedPart], *, always: bool = False) -> None:
    """Store that the user trusts exactly `parts`; with `always` also every later change."""
    from plexctl.workflow.trust.records import Decision, decide

    files = {path: digest for one in parts for path, digest in one.part.files.items()}
    decide(root, Decision(files, always))


def question(parts: Collection[JudgedPart]) -> Iterator[str]:
    """Lines that list the parts that are not trusted, and their files."""
    for one in parts:
        if one.trusted:
            continue
        yield f"{one.part.name}: {one.part.kind}"
        files = [(path, state) for path, state in one.files.items() if state != FileState.TRUSTED]
        yield from (f"  {state}: {path}" for path, state in files[:LISTED])
        if len(files) > LISTED:
            more = len(files) - LISTED
            yield f"  and {more} more files; `plexctl trust --list` lists all"


def _states(part: LabPart, decided: Decision) -> Mapping[str, FileState]:
    if decided.always:
        return dict.fromkeys(part.files, FileState.TRUSTED)
    states = {path: _state(decided.files.get(path), found) for path, found in part.files.items()}
    gone = [path for path in decided.files if path.startswith(f"{part.name}/")]
    return states | {path: FileState.DELETED for path in gone if path not in states}


def _state(trusted: str | None, found: str) -> FileState:
    if trusted is None:
        return FileState.NEW
    return FileState.TRUSTED if trusted == found else FileState.CHANGED
