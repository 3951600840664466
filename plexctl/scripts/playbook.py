"""A play for people to watch, through ansible-runner: what Ansible prints is what they see.

`clients.ansible` is for what plexctl itself applies, where its own words count.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients.private_folder import private_folder
from plexctl.clients.process import nothing_left_of, search_path
from plexctl.errors import Interrupted, PlexError
from plexctl.model.files import write_atomic, write_private
from plexctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook and what it is run with."""

    plays: str  # YAML
    arguments: tuple[str, ...] = ()  # of ansible-playbook
    inventory: str | None = None  # JSON, as a dynamic inventory prints it
    variables: str = "{}"  # JSON; may hold secrets
    environment: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, Secret] = field(default_factory=dict)  # by the prompt, as a pattern


def run(playbook: Playbook, show: Callable[[str], None], *, interactive: bool = False) -> int:
    """Run it from the current folder, with the user's own settings of Ansible; its exit code.

    What Ansible prints goes to `show`, piece by piece; with `interactive` it has the terminal
    itself. No secret is in an argument or the environment.
    """
    with private_folder("plexctl-play") as folder:
        write_private(folder / "play.yml", playbook.plays.encode())
        write_private(folder / "variables.json", playbook.variables.encode())
        words = [str(folder / "play.yml"), "-e", f"@{folder / 'variables.json'}"]
        if playbook.inventory is not None:
            words += ["-i", _inventory(folder, playbook.inventory)]
        return _run(folder, [*words, *playbook.arguments], playbook, show, interactive)


def _inventory(folder: Path, document: str) -> str:
    """A program that prints an inventory: its form as JSON is one of programs alone."""
    write_atomic(folder / "inventory.json", document.encode(), 0o600)
    script = folder / "inventory"
    write_atomic(script, b'#!/bin/sh\nexec cat "$(dirname "$0")/inventory.json"\n', 0o700)
    return str(script)


def _run(
    folder: Path,
    words: Sequence[str],
    playbook: Playbook,
    show: Callable[[str], None],
    interactive: bool,
) -> int:
    from ansible_runner.interface import init_command_config

    def event(found: Mapping[str, Any]) -> bool:
        if text := str(found.get("stdout", "")):
            show(text)
        return False  # the library need not write the event down

    terminal = (
        {"input_fd": sys.stdin, "output_fd": sys.stdout, "error_fd": sys.stderr}
        if interactive
        else {}
    )
    with _refusals(), nothing_left_of(folder), _stop_asked() as stop:
        runner = init_command_config(
            "ansible-playbook",
            cmdline_args=list(words),
            private_data_dir=str(folder / "runner"),
            host_cwd=str(Path.cwd()),
            envvars={"PATH": search_path(), **playbook.environment},
            passwords={prompt: word.reveal_text() for prompt, word in playbook.passwords.items()},
            event_handler=event,
            cancel_callback=lambda: bool(stop),
            quiet=True,
            **terminal,
        )
        runner.run()
    if stop:
        raise Interrupted(stop[0])
    return int(runner.rc)


@contextmanager
def _stop_asked() -> Iterator[list[int]]:
    """The signals that came meanwhile: Ansible has a session of its own, and is ended with us."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        raise PlexError("Ansible could not be started", details=(str(error),)) from error
