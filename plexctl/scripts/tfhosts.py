"""`tfhosts`: an external data source of OpenTofu with the hosts of the name service."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from plexctl.errors import ExitCode
from plexctl.render.json import document_text
from plexctl.scripts.entry import arguments, query

ABOUT = """\
An external data source of OpenTofu and Terraform. It answers the hosts that `getent hosts` lists,
as one JSON object: the first name of each address, and the address of each name. The protocol
requires a query on standard input; its content is ignored.

  data "external" "hosts" {
    program = ["bin/tfhosts"]
    query   = {}
  }

  echo '{}' | tfhosts
"""

DEADLINE = 20.0


def main(argv: Sequence[str]) -> int:
    arguments("tfhosts", ABOUT).parse_args(argv)
    if not sys.stdin.isatty():
        query(sys.stdin)
    from plexctl.clients import process

    listed = process.run(["getent", "hosts"], timeout=DEADLINE).stdout
    print(document_text(two_way(listed)))
    return ExitCode.DONE


def two_way(listed: str) -> dict[str, str]:
    """Maps each address to its first name and each name to its address.

    For an address or a name on several lines, the last line takes precedence.
    """
    found: dict[str, str] = {}
    for fields in map(str.split, listed.splitlines()):
        if len(fields) < 2:
            continue
        address, name, *more = fields
        found[address] = name
        found.update(dict.fromkeys((name, *more), address))
    return found
