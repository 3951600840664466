"""`mkgenders`: a genders(5) file from an Ansible inventory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plexctl.config.bounded import check_json
from plexctl.errors import ExitCode, UsageError
from plexctl.scripts.entry import arguments, text_of
from plexctl.scripts.genders_file import nodes_of, text

ABOUT = """\
Prints a genders(5) file from an Ansible inventory. Each group becomes an attribute of its nodes. A
variable with the name of a group of its node becomes the value of the attribute; other variables
are left out. Without -i, the inventory is that of the lab around the current folder.

  mkgenders >genders
  mkgenders -i inventory.ini
  plexctl inventory | mkgenders -i -
"""

DEADLINE = 60.0


def main(argv: Sequence[str]) -> int:
    parser = arguments("mkgenders", ABOUT)
    parser.add_argument(
        "-i",
        "--inventory",
        metavar="WHERE",
        help="an inventory of Ansible, or - for JSON on standard input",
    )
    parser.add_argument("-C", "--directory", type=Path, default=Path(), help="folder of the lab")
    asked = parser.parse_args(argv)
    where = asked.inventory or "of the lab"
    sys.stdout.write(converted(_inventory(asked.inventory, asked.directory), where))
    return ExitCode.DONE


def converted(found: dict[str, Any], where: str) -> str:
    """The genders file of an inventory. UsageError, with its name, if the format has none."""
    try:
        return text(nodes_of(found))
    except UsageError as error:
        raise UsageError(f"the inventory {where}: {error.summary}", hint=error.hint) from error


def _inventory(where: str | None, directory: Path) -> dict[str, Any]:
    if where is None:
        from plexctl.scripts.lab import inventory

        return inventory(directory)
    return parsed(text_of(sys.stdin) if where == "-" else _listed(where), where)


def _listed(where: str) -> str:
    from plexctl.clients import process
    from plexctl.clients.environment import users_ansible

    beside = Path(sys.executable).parent  # the environment need not be activated
    return process.run(
        [beside / "ansible-inventory", "-i", where, "--list", "--export"],
        timeout=DEADLINE,
        env=users_ansible() | {"ANSIBLE_NOCOLOR": "1"},
    ).stdout


def parsed(output: str | bytes, where: str) -> dict[str, Any]:
    """The inventory in a JSON text. UsageError, with its name, for anything else."""
    try:
        found = check_json(output)
    except ValueError as error:
        raise UsageError(f"the inventory {where} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"the inventory {where} is not a JSON object")
    return found
