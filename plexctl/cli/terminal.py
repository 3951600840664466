"""Answers on standard output, questions on the terminal, and exit codes."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import typer

from plexctl.errors import ExitCode, PlexError, UsageError, visible
from plexctl.model.secret import Secret
from plexctl.render import json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Result = TypeVar("_Result", bound="DataclassInstance")


def answer(result: _Result, text: Callable[[_Result], str], as_json: bool) -> None:
    """Print the result of a command, as JSON or as `text` renders it.

    Nothing else is printed to standard output. Control characters of the text are shown as escapes;
    json.py has escapes of its own.
    """
    say(json.json_text(result) if as_json else visible(text(result)))


def say(text: str) -> None:
    """Print an answer that is text. Flushed, so that a closed pipe is noticed here."""
    print(text, flush=True)


def end(code: ExitCode | int) -> None:
    """End the process with `code` if it is not 0."""
    if code:
        raise typer.Exit(int(code))


def confirm(loss: str, yes: bool, keep: str = "") -> None:
    """Ask before something is lost, unless `yes`. `loss` is a clause: what will be lost.

    `keep` names what would keep it. UsageError where there is no terminal to ask on, PlexError if
    the user refuses.
    """
    if yes:
        return
    if not _terminal():
        raise UsageError(
            "refusing to continue without -y: stdin is not a terminal",
            details=(loss,),
            hint="; ".join(
                filter(
                    None,
                    (keep, f"to continue: `{shlex.join(['plexctl', *sys.argv[1:], '-y'])}`"),
                )
            ),
        )
    if keep:
        print(visible(keep), file=sys.stderr)
    if not typer.confirm(f"{visible(loss)}. Continue?", err=True):
        raise PlexError("nothing was changed")


def consent(
    paused: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[str, str], None]:
    """`confirm` for something that is found out during a run, whose progress is `paused`."""

    def ask(loss: str, keep: str) -> None:
        with paused():
            confirm(loss, False, keep)

    return ask


def approval(
    yes: bool, paused: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Callable[[Sequence[str]], bool] | None:
    """A function that asks whether the parts of a lab that it lists may run on this machine.

    `yes` is the answer to it. None without `yes` and without a terminal. The question is asked
    while progress is `paused`.
    """
    if not yes and not _terminal():
        return None

    def ask(lines: Sequence[str]) -> bool:
        with paused():
            print("These parts of the lab run programs on this machine:", file=sys.stderr)
            for line in lines:
                print(f"  {visible(line)}", file=sys.stderr)
            return yes or typer.confirm("They can do whatever you can do. Trust them?", err=True)

    return ask


def hidden(prompt: str) -> Secret:
    """Read a secret from standard input, without echo where that is a terminal."""
    ask = _asking(prompt)
    return ask() if ask else Secret(sys.stdin.buffer.readline().strip())


def passphrase() -> Callable[[], Secret] | None:
    """A function that asks for the seed's passphrase; None without a terminal."""
    return _asking("Passphrase of this lab's seed: ")


def new_passphrase() -> Secret:
    """Ask twice for the passphrase of a new seed. UsageError if the answers differ."""
    ask = _asking("New passphrase for the seed: ")
    again = _asking("Repeat the passphrase: ")
    if ask is None or again is None:
        raise UsageError("--passphrase needs a terminal: stdin is not one")
    entered = ask()
    if not entered.reveal() or entered != again():
        raise UsageError("the passphrases differ or are empty; nothing was written")
    return entered


def _asking(prompt: str) -> Callable[[], Secret] | None:
    if not _terminal():
        return None
    return lambda: Secret(getpass.getpass(prompt, sys.stderr).encode())


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
