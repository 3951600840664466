"""`tfdeps`: what each object of a state or a configuration of OpenTofu depends on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode
from plexctl.scripts import dependencies, tofu
from plexctl.scripts.entry import arguments
from plexctl.scripts.genders import read

ABOUT = """\
What each object of OpenTofu or Terraform depends on. FILE is a state, what `tofu show -json` prints
of a state or a plan, or what `tofu graph` prints; - is standard input. Without it, the state of the
current folder is asked for.

  tfdeps
  tfdeps terraform.tfstate
  tofu show -json saved.tfplan | tfdeps --dot - | dot -Tsvg >plan.svg
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("tfdeps", ABOUT)
    parser.add_argument("file", metavar="FILE", nargs="?", help="default: the current state")
    parser.add_argument("-a", "--all", action="store_true", help="also what depends on nothing")
    parser.add_argument("--dot", action="store_true", help="a graph for Graphviz")
    asked = parser.parse_args(argv)
    graph = dependencies.read(_text(asked.file))
    if asked.dot:
        print(dependencies.as_dot(graph))
    elif shown := dependencies.as_text(graph, everything=asked.all):
        print(shown)
    return ExitCode.DONE


def _text(file: str | None) -> str:
    if file is None:
        return tofu.find().ask("state", "pull").stdout
    return sys.stdin.read() if file == "-" else read(Path(file))
