"""`tfhosts`: an external data source of OpenTofu with the hosts that the name service knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from plexctl.errors import ExitCode
from plexctl.scripts.entry import arguments, query

ABOUT = """\
An external data source of OpenTofu and Terraform: the hosts that `getent hosts` lists, as one JSON
object with both ways: each address with its first name, each name with its address. The query on
standard input is read, as the protocol wants it, and has no say.

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
    print(json.dumps(two_way(listed), indent=2, ensure_ascii=False))
    return ExitCode.DONE


def two_way(listed: str) -> dict[str, str]:
    """From lines of an address, its name and further names, to a map of each to the other.

    Where one of them comes again, its last line counts.
    """
    found: dict[str, str] = {}
    for fields in map(str.split, listed.splitlines()):
        if len(fields) < 2:
            continue
        address, name, *more = fields
        found[address] = name
        found.update(dict.fromkeys((name, *more), address))
    return found
