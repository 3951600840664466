"""The program `tofu` or `terraform`, and its messages with `-json`."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plexctl.clients import process
from plexctl.clients.environment import users_environment
from plexctl.config.bounded import check_json
from plexctl.errors import PlexError, visible_line
from plexctl.model.command import CommandResult

PROGRAMS = ("tofu", "terraform")
ORIGIN = "terraform"
"""The folder of the configuration in a home folder."""

Message = Mapping[str, Any]

QUICK = 120.0
"""Seconds for commands that call no provider."""


@dataclass(frozen=True, slots=True)
class TofuCommand:
    """A program, and the folder that it works in (None: the current one).

    It has the user's whole environment: the configuration is the user's, with its workspaces,
    variables and credentials.
    """

    program: str
    folder: str | None = None

    @property
    def name(self) -> str:
        return Path(self.program).name

    def argv(self, *words: str) -> tuple[str, ...]:
        return (self.program, *((f"-chdir={self.folder}",) if self.folder else ()), *words)

    def ask(self, *words: str, check: bool = True) -> CommandResult:
        hint = f"`{self.name} init` prepares the folder"
        argv = self.argv(*words, "-no-color")
        return process.run(argv, timeout=QUICK, env=users_environment(), check=check, hint=hint)

    def stream(self, on_message: Callable[[Message], None], *words: str) -> int:
        """Run a command that prints JSON lines; returns its exit code.

        The program gets Ctrl-C from the terminal, writes its state and ends.
        """

        with _left_to_the_program():
            return process.stream(
                self.argv(*words), lambda line: on_message(message(line)), env=users_environment()
            )


def find(folder: str | None = None) -> TofuCommand:
    """The first of `tofu` and `terraform` on the PATH. PlexError if there is neither."""
    if folder is None and Path.cwd() == Path.home() and Path(ORIGIN).is_dir():
        folder = ORIGIN
    for name in PROGRAMS:
        if program := shutil.which(name):
            return TofuCommand(program, folder)
    raise PlexError(
        "neither tofu nor terraform is on the PATH", hint="https://opentofu.org/docs/intro/install"
    )


@contextmanager
def _left_to_the_program() -> Iterator[None]:
    """A second signal would stop the program at once: the terminal has sent it one already."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def message(line: str) -> Message:
    """A line of the output with `-json`; a line that is no message has the type "other"."""
    try:
        found = check_json(line)
    except ValueError:
        return {"type": "other", "@message": line}
    return found if isinstance(found, dict) else {}


def diagnosis(found: Message) -> Iterator[str]:
    """One diagnostic as lines: summary, details, and place. Control characters are escapes."""
    yield visible_line(f"{found.get('severity', 'error')}: {found.get('summary', '')}")
    details = str(found.get("detail") or "").splitlines()
    yield from (f"  {visible_line(line)}" for line in details if line)
    match found.get("range"):
        case {"filename": file, "start": {"line": line, "column": column}}:
            yield visible_line(f"  {file}:{line}:{column}")


def problem(found: Message) -> Message | None:
    """The diagnostic in a message, if it is one."""
    match found:
        case {"type": "diagnostic", "diagnostic": dict(diagnostic)}:
            return diagnostic
    return None


def errors(diagnostics: Iterable[Message]) -> Sequence[str]:
    return [
        line for one in diagnostics if one.get("severity") == "error" for line in diagnosis(one)
    ]
