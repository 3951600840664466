"""Runs a playbook with ansible-runner and shows Ansible's own output.

`clients.ansible` is for the roles that plexctl itself applies: it reports in plexctl's words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients.environment import users_ansible
from plexctl.clients.plays import command_runner, signals_recorded
from plexctl.clients.private_folder import private_folder
from plexctl.clients.process import nothing_left_of
from plexctl.errors import visible
from plexctl.model.files import write_atomic, write_private
from plexctl.model.secret import Secret

_COLOR = re.compile("(\x1b\\[(?:0|(?:[01];)?3[0-7]|(?:[01];)?38;5;[0-9]{1,3})m)")
"""What Ansible writes around a text in colour, and nothing that hides or blinks."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook and the inputs of its run."""

    plays: str  # YAML
    arguments: tuple[str, ...] = ()  # of ansible-playbook
    inventory: str | None = None  # JSON, as a dynamic inventory prints it
    variables: str = "{}"  # JSON; may contain secrets
    environment: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, Secret] = field(default_factory=dict)  # by prompt, a pattern


def run(playbook: Playbook, show: Callable[[str], None], *, interactive: bool = False) -> int:
    """Run a playbook in the current folder, with the user's settings of Ansible. Its exit code.

    `show` gets Ansible's output, piece by piece, with its colours, and with other control
    characters as escapes. With `interactive` Ansible uses the terminal itself.
    No secret is in an argument or the environment.
    """
    with private_folder("plexctl-play") as folder:
        write_private(folder / "play.yml", playbook.plays.encode())
        write_private(folder / "variables.json", playbook.variables.encode())
        words = [str(folder / "play.yml"), "-e", f"@{folder / 'variables.json'}"]
        if playbook.inventory is not None:
            words += ["-i", _inventory(folder, playbook.inventory)]
        return _run(folder, [*words, *playbook.arguments], playbook, show, interactive)


def shown(text: str) -> str:
    """A piece of Ansible's output: nodes wrote parts of it, which may not change the terminal."""
    parts = _COLOR.split(text.replace("\r\n", "\n"))
    return "".join(part if place % 2 else visible(part) for place, part in enumerate(parts))


def _inventory(folder: Path, document: str) -> str:
    """A program that prints the inventory: Ansible accepts this form of JSON from programs only."""
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
    def event(found: Mapping[str, Any]) -> bool:
        if text := str(found.get("stdout", "")):
            show(shown(text))
        return False  # the library does not write the event to a file

    terminal = (
        {"input_fd": sys.stdin, "output_fd": sys.stdout, "error_fd": sys.stderr}
        if interactive
        else {}
    )
    answers = {prompt: word.reveal_text() for prompt, word in playbook.passwords.items()}
    with signals_recorded() as signals, nothing_left_of(folder):
        runner = command_runner(
            "ansible-playbook",
            list(words),
            {**users_ansible(), **playbook.environment},
            handlers={"event_handler": event, "cancel_callback": lambda: bool(signals)},
            private_data_dir=str(folder / "runner"),
            host_cwd=str(Path.cwd()),
            passwords=answers,
            quiet=True,
            **terminal,
        )
        runner.run()
    return int(runner.rc)
