"""`genders`: a dynamic inventory of Ansible from a genders(5) file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode, UsageError
from plexctl.scripts.entry import arguments
from plexctl.scripts.genders_file import inventory, parse, variables

DEFAULT = "/etc/genders"

ABOUT = """\
A dynamic inventory of Ansible from a genders(5) file. Each attribute becomes a group of the nodes
that have it. If it has a value, the value becomes a variable of the node.

  ansible -i bin/genders kube -m ping
  genders -f genders --list
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("genders", ABOUT)
    file = os.environ.get("GENDERS") or DEFAULT
    parser.add_argument(
        "-f", "--file", type=Path, default=Path(file), help=f"default: $GENDERS, or {DEFAULT}"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="all groups and nodes; the default")
    what.add_argument("--host", metavar="NODE", help="the variables of one node")
    asked = parser.parse_args(argv)
    nodes = parse(read(asked.file), str(asked.file))
    if asked.host is not None and asked.host not in nodes:
        raise UsageError(f"{asked.file} has no node {asked.host}")
    print(json.dumps(variables(nodes[asked.host]) if asked.host else inventory(nodes), indent=2))
    return ExitCode.DONE


def read(file: Path) -> str:
    """The text of a file that a user names. UsageError if it cannot be read."""
    from plexctl.config.bounded import read_given

    return read_given(file)
