"""What commands have in common: the lab they work in, questions, and the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from plexctl.errors import ExitCode, PlexError, UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from plexctl.model.secret import Secret
    from plexctl.results.plex import UpResult
    from plexctl.workflow.core.context import Context


def directory(context: typer.Context) -> Path:
    """What `-C` says, or the current folder."""
    return Path(context.find_root().params["directory"] or ".")


def lab(
    context: typer.Context, *, quiet: bool = False, verbose: bool = False
) -> AbstractContextManager[Context]:
    """The lab that the command is for; what it tells is shown until the block ends."""
    return opened(directory(context), quiet=quiet, verbose=verbose)


@contextmanager
def opened(folder: Path, *, quiet: bool = False, verbose: bool = False) -> Iterator[Context]:
    """The lab around `folder`, its seed and hosts; what it tells is shown until the block ends."""
    from plexctl.config.load import find_lab
    from plexctl.render.progress import progress
    from plexctl.workflow.core.context import open_lab

    root = find_lab(folder)
    with progress(quiet=quiet, verbose=verbose) as listener:
        yield open_lab(root, cache=cache(), listener=listener, ask=passphrase())


def cache() -> Path:
    """Where the depot and bakes are, shared by all labs of a user."""
    from platformdirs import user_cache_path

    return user_cache_path("plexctl")


def answer(result: DataclassInstance, as_json: bool) -> None:
    """Print what a command answers: nothing else goes to standard output."""
    from plexctl.render.json import json_text
    from plexctl.render.text import text

    say(json_text(result) if as_json else text(result))


def answer_up(result: UpResult, as_json: bool) -> None:
    """Print what a verb made of a plex; code 1 if its apps are not as they should be."""
    answer(result, as_json)
    end(ExitCode.FAILED if result.apps and result.apps.failures else ExitCode.DONE)


def say(text: str) -> None:
    """Print an answer that is text already. Flushed: a reader that has gone is noticed here."""
    print(text, flush=True)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost, unless `yes`. Without a terminal there is no one to ask.

    UsageError then; PlexError if the answer is no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question}: not without a yes", hint="say it beforehand: -y")
    if not typer.confirm(f"{question}. Go on?", err=True):
        raise PlexError("nothing was done")


def end(code: ExitCode | int) -> None:
    """End with another code than 0."""
    if code:
        raise typer.Exit(int(code))


def new_passphrase() -> Secret:
    """Ask twice for the passphrase of a new seed. UsageError if nobody answers the same twice."""
    ask = _asking("Passphrase for the seed: ")
    again = _asking("The same once more: ")
    if ask is None or again is None:
        raise UsageError("a passphrase is asked for on a terminal, and there is none")
    passphrase = ask()
    if not passphrase.reveal() or passphrase != again():
        raise UsageError("the two were not the same, or empty; nothing was made")
    return passphrase


def hidden(prompt: str) -> Secret:
    """A secret from standard input, not echoed where that is a terminal."""
    from plexctl.model.secret import Secret

    ask = _asking(prompt)
    return ask() if ask else Secret(sys.stdin.buffer.readline().strip())


def passphrase() -> Callable[[], Secret] | None:
    """How to ask for the seed's passphrase; None where no one can be asked."""
    return _asking("Passphrase of this lab's seed: ")


def _asking(prompt: str) -> Callable[[], Secret] | None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask() -> Secret:
        import getpass

        from plexctl.model.secret import Secret

        return Secret(getpass.getpass(prompt, sys.stderr).encode())

    return ask
