"""Errors as text for people, and as JSON for programs."""

from __future__ import annotations

import os
from pathlib import Path

from plexctl.errors import ConfigError, PlexError, Problem, visible
from plexctl.render.json import versioned

RED, CYAN, PLAIN = "\x1b[1;31m", "\x1b[36m", "\x1b[0m"


def error_text(error: PlexError, *, color: bool = False) -> str:
    """`error: …`, its details indented, then `hint: …`. Ends without a newline."""
    lines = [f"{_painted('error:', RED, color)} {visible(error.summary)}"]
    if isinstance(error, ConfigError):
        lines += map(problem_text, error.problems)
    lines += [f"  {visible(line)}" for detail in error.details for line in detail.splitlines()]
    if error.hint:
        lines.append(f"{_painted('hint:', CYAN, color)} {visible(error.hint)}")
    return "\n".join(lines)


def problem_text(problem: Problem) -> str:
    """`clusters/demo/plex.yaml:7: workers: must be a whole number (did you mean 2?)`."""
    where = f"{shown_path(problem.file)}:{problem.line}"
    field = f" {problem.field}:" if problem.field else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return visible(f"{where}:{field} {problem.message}{hint}")


def error_json(error: PlexError) -> str:
    """One object with the keys "version" and "error". A ConfigError lists its problems."""
    content: dict[str, object] = {
        "summary": error.summary,
        "details": list(error.details),
        "hint": error.hint,
    }
    if isinstance(error, ConfigError):
        content["problems"] = [
            {
                "file": str(problem.file),
                "line": problem.line,
                "field": problem.field,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in error.problems
        ]
    return versioned({"error": content})


def shown_path(path: Path) -> str:
    """`path` relative to the current folder, if it is inside of that folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def colors(terminal: bool) -> bool:
    """Whether to print colours to a terminal; see https://no-color.org."""
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(word: str, color: str, wanted: bool) -> str:
    return f"{color}{word}{PLAIN}" if wanted else word
