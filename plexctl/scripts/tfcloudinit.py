"""`tfcloudinit`: an external data source of OpenTofu with the cloud-init data of a node."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode, UsageError
from plexctl.scripts.entry import arguments, query
from plexctl.scripts.lab import files

ABOUT = """\
An external data source of OpenTofu and Terraform. It reads the query {"host": NODE} from standard
input and answers {"user-data": …, "network-config": …}, from the files of the lab around the
current folder. The answer contains no secret: user-data reads a node's files from its seed (label
CIDATA).

  data "external" "cloudinits" {
    program = ["bin/tfcloudinit"]
    query   = { host = "demo1" }
  }

  echo '{"host": "demo1"}' | tfcloudinit
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("tfcloudinit", ABOUT)
    parser.add_argument("-C", "--directory", type=Path, default=Path(), help="folder of the lab")
    asked = parser.parse_args(argv)
    host = query(sys.stdin).get("host")
    if not host:
        raise UsageError("the query has no host", hint='a query is {"host": NODE}')
    print(json.dumps(answer(asked.directory, host), indent=2))
    return ExitCode.DONE


def answer(directory: Path, host: str) -> dict[str, str]:
    """The cloud-init data of a node of the lab. UsageError if there is no such node."""
    from plexctl.model.nodes import nodes
    from plexctl.plan.boot.cloudinit import network_config, user_data

    lab = files(directory)
    for plex in lab.plexes.values():
        for node in nodes(plex):
            if node.name == host:
                return {"network-config": network_config(plex, node), "user-data": user_data()}
    raise UsageError(
        f"the lab {lab.root} has no node {host}", hint="`plexctl list` shows its plexes"
    )
