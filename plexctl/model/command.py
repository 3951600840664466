"""The result of a program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A program that has ended, on this machine or on a node."""

    argv: tuple[str, ...]
    code: int  # exit code; 128 + number where a signal ended it
    stdout: str
    stderr: str
