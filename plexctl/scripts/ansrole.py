"""`ansrole`: applies a role to nodes, with Ansible."""

from __future__ import annotations

import argparse
import configparser
import getpass
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from plexctl.errors import PlexError, UsageError
from plexctl.scripts.entry import arguments
from plexctl.scripts.role_play import HINT, play, target, variables

if TYPE_CHECKING:
    from plexctl.model.secret import Secret

ABOUT = """\
Applies a role to nodes. The nodes are an Ansible pattern: names, groups and patterns, joined by
colons. The last part is the role: a folder in roles/ of the current folder, of the lab around it,
or of plexctl. Variables are name=value (a text), JSON objects, and the files vars/*.yml of the lab.

  ansrole demo2:motd text='made by plexctl'
  ansrole -n -D 'demo:!master:motd' '{"text": "a dry run"}'
  ansrole -i localhost, -c local localhost:motd
"""

PROMPTS = {"ask_pass": r"SSH password:\s*$", "ask_become_pass": r"BECOME password.*:\s*$"}

_LIKE_ANSIBLE = (
    # (option of ansrole, its help, option of ansible-playbook)
    (("-u", "--user"), "log in as this user", "--user"),
    (("-f", "--forks"), "number of nodes at the same time", "--forks"),
    (("-c", "--connection"), "connection to nodes: ssh, local, …", "--connection"),
    (("-B", "--buser"), "become this user there; default: root", "--become-user"),
    (("--key",), "file of the SSH key", "--private-key"),
    (("--start",), "start at the task of this name", "--start-at-task"),
)


def main(argv: Sequence[str]) -> int:
    asked = _parser().parse_args(argv)
    goal = target(asked.target)
    lab = _lab(asked.directory, needed=not asked.inventory)
    bases = tuple(dict.fromkeys(base for base in (asked.directory.resolve(), lab) if base))
    role = _role(goal.role, bases)
    extra = variables(asked.variables, goal.role, prefixed=asked.prefix)
    if asked.step and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--step asks before each task: stdin is not a terminal")
    inventory = None
    if lab and not asked.inventory:
        from plexctl.scripts.lab import inventory as of_lab

        inventory = json.dumps(of_lab(lab))
    from plexctl.scripts import playbook

    content = play(
        goal,
        str(role),
        become=not asked.unbecome,
        facts=not asked.nofacts,
        serial=asked.serial,
        files=[str(file) for base in bases for file in sorted(base.glob("vars/*.yml"))],
    )
    return playbook.run(
        playbook.Playbook(
            content,
            tuple(_arguments(asked)),
            inventory,
            json.dumps(extra),
            _environment(bases),
            {} if asked.step else _passwords(asked),
        ),
        lambda text: print(text, flush=True),
        interactive=asked.step,
    )


def _parser() -> argparse.ArgumentParser:
    parser = arguments("ansrole", ABOUT)
    add = parser.add_argument
    add("target", metavar="PATTERN[:PATTERN]:ROLE", help=HINT)
    add("variables", metavar="VAR=VAL|JSON", nargs="*", help="variables of the role")
    add("-n", "-C", "--check", "--dry-run", action="store_true", help="dry run: change nothing")
    add("-D", "--diff", action="store_true", help="show changes of files")
    add("-v", "--verbose", action="count", default=0, help="show more; up to -vvvv")
    add("-k", "--ask-pass", action="store_true", help="ask for the SSH password")
    add("-K", "--ask-become-pass", action="store_true", help="ask for the sudo password")
    add(
        "-U",
        "--unbecome",
        action="store_true",
        help="do not become root",
    )
    add("-p", "--prefix", action="store_true", help="VAR=VAL sets ROLE_VAR")
    add("-s", "--serial", metavar="N", help="number of nodes per batch, or a share: 30%%")
    add("-i", "--inventory", action="append", help="default: the lab's; may be repeated")
    for names, text, _ in _LIKE_ANSIBLE:
        add(*names, help=text)
    add("--nofacts", action="store_true", help="do not gather facts first")
    add("--syntax", action="store_true", help="only check the syntax of the play")
    add("--step", action="store_true", help="ask before each task")
    add("--directory", type=Path, default=Path(), metavar="DIR", help="folder of the lab")
    return parser


def _arguments(asked: argparse.Namespace) -> Iterator[str]:
    """The arguments of ansible-playbook."""
    flags = {
        "--check": asked.check,
        "--diff": asked.diff,
        "--ask-pass": asked.ask_pass,
        "--ask-become-pass": asked.ask_become_pass,
        "--syntax-check": asked.syntax,
        "--step": asked.step,
    }
    yield from (word for word, wanted in flags.items() if wanted)
    if asked.verbose:
        yield "-" + "v" * asked.verbose
    for names, _, theirs in _LIKE_ANSIBLE:
        value = getattr(asked, names[-1].lstrip("-"))
        if value is not None:
            yield f"{theirs}={value}"
    yield from (f"--inventory={one}" for one in asked.inventory or ())


def _lab(directory: Path, *, needed: bool) -> Path | None:
    from plexctl.config.load import find_lab

    try:
        return find_lab(directory)
    except UsageError:
        if needed:
            raise
        return None


def _role(name: str, bases: Sequence[Path]) -> Path:
    """The folder of a role that can be applied. UsageError if there is none."""
    from plexctl.config.builtin import builtin

    folders = [base / "roles" / name for base in bases] + [builtin("roles") / name]
    found = [folder for folder in folders if folder.is_dir()]
    if not found:
        raise UsageError(f"there is no role {name}", details=map(str, folders))
    for folder in found:
        if any((folder / "tasks" / f"main.{ending}").is_file() for ending in ("yml", "yaml")):
            return folder.resolve()
    raise UsageError(
        f"the role {name} has no tasks/main.yml: it is for images",
        hint="`plexctl bake` applies it",
    )


def _environment(bases: Sequence[Path]) -> Mapping[str, str]:
    """Roles, plugins and output, as far as the user has no settings of Ansible for them.

    A setting is a variable of the environment, or is in the `ansible.cfg` that counts here.
    """
    from plexctl.config.builtin import builtin
    from plexctl.render.errors import colors

    ours = builtin("roles")
    places = {
        "roles_path": [*(base / "roles" for base in bases), ours],
        "callback_plugins": [ours / "plugins" / "callback"],
        "filter_plugins": [ours / "plugins" / "filter"],
    }
    users = _users_settings()
    settings = {
        f"ANSIBLE_{name.upper()}": os.pathsep.join(filter(None, (users[name], *map(str, folders))))
        for name, folders in places.items()
    }
    settings["ANSIBLE_STDOUT_CALLBACK"] = users["stdout_callback"] or "unixz"
    if not (users["force_color"] or users["nocolor"]):
        settings["ANSIBLE_FORCE_COLOR" if colors(sys.stdout.isatty()) else "ANSIBLE_NOCOLOR"] = "1"
    return settings


def _users_settings() -> dict[str, str]:
    """The setting in the environment, else in `ansible.cfg`; empty if neither has it.

    https://docs.ansible.com/ansible/latest/reference_appendices/config.html says which file counts,
    and that relative paths in it are relative to its folder.
    """
    from ansible.config.manager import find_ini_config_file

    found = find_ini_config_file(set())
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    if found:
        with suppress(configparser.Error):  # Ansible will say what is wrong
            parser.read(found, encoding="utf-8")
    section = parser["defaults"] if parser.has_section("defaults") else {}

    def setting(name: str) -> str:
        if value := os.environ.get(f"ANSIBLE_{name.upper()}", ""):
            return value
        value = section.get(name, "").partition(" ;")[0].strip()
        if not found or not name.endswith(("_path", "_plugins")):
            return value
        folder = Path(found).parent
        paths = (Path(part).expanduser() for part in value.split(os.pathsep) if part)
        return os.pathsep.join(str(folder / path) for path in paths)

    names = ("roles_path", "callback_plugins", "filter_plugins")
    return {name: setting(name) for name in (*names, "stdout_callback", "force_color", "nocolor")}


def _passwords(asked: argparse.Namespace) -> dict[str, Secret]:
    """The answers to Ansible's prompts, by prompt. They are read before Ansible starts."""
    return {
        prompt: _password(re.split(r"[:.\\]", prompt)[0])
        for option, prompt in PROMPTS.items()
        if getattr(asked, option)
    }


def _password(question: str) -> Secret:
    from plexctl.model.secret import Secret

    if sys.stdin.isatty():
        return Secret(getpass.getpass(f"{question}: ", sys.stderr).encode())
    line = sys.stdin.buffer.readline().rstrip(b"\n")
    if not line:
        raise PlexError(f"{question}: standard input has no line for it")
    return Secret(line)
